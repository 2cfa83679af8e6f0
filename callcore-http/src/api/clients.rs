pub(crate) mod dnc;
pub(crate) mod erase;
pub(crate) mod list;
pub(crate) mod read;
