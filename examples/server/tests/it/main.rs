//! The real binary, from outside: started in an empty directory, spoken to over HTTP, stopped by
//! signals.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

mod access;
mod account;
mod bad_input;
mod calls;
mod crash;
mod dnc;
mod first_run;
mod imports;
mod job;
mod mail;
mod numbers;
mod opt_outs;
mod samples;
mod script;
mod settings;
mod stopping;
mod sweep;
mod twilio;
mod walk;
