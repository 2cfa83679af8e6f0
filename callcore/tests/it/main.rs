//! The one integration test binary.

mod memory;
