pub(crate) mod password;
