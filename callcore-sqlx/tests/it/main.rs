//! The one integration test binary.

#[cfg(feature = "sqlite")]
mod driver;
#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "sqlite")]
mod migrations;
#[cfg(feature = "sqlite")]
mod privacy;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod undo;
