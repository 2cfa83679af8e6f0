//! The one integration test binary.

#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "sqlite")]
mod sqlite;
