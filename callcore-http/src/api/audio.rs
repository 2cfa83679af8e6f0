pub(crate) mod list;
pub(crate) mod listen;
pub(crate) mod remove;
pub(crate) mod upload;
