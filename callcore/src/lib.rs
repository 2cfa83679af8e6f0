//! Call campaigns as a library.
pub mod actor;
pub mod analytics;
pub mod call;
pub mod campaign;
pub mod client;
pub mod desk;
pub mod dnc;
pub mod driver;
pub mod engine;
pub mod id;
pub mod import;
pub mod phone;
pub mod port;
pub mod rules;
pub mod script;
pub mod time;
pub mod zones;
