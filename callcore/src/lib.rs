//! x
pub mod id;
pub mod import;
pub mod phone;
pub mod rules;
pub mod time;
pub mod zones;
