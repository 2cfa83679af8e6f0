//! The one integration test binary.

mod carrier;
mod desk;
mod memory;
