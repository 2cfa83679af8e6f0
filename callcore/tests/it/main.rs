//! The one integration test binary.

mod desk;
mod memory;
