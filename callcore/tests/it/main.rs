//! The one integration test binary.

mod carrier;
mod desk;
mod driver;
mod memory;
