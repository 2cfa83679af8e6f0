//! x
pub mod id;
pub mod phone;
pub mod time;
