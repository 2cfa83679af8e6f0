//! x
pub mod id;
pub mod phone;
pub mod rules;
pub mod time;
