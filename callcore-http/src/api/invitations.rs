pub(crate) mod accept;
