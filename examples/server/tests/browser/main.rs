//! The pages in a real browser: Chromium, driven as a person's hands and eyes would.
//!
//! `scripts/test` runs these tests. By hand: `cargo test -p callcore-server --test browser --
//! --ignored`, with `chromium` and `chromedriver` installed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
#[path = "../it/harness.rs"]
#[expect(dead_code, reason = "the black-box tests use more of it")]
mod harness;

mod manners;
mod screenshots;
mod sights;
mod sign_in;
mod story;
