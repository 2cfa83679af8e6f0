//! Facts in, commands out: one test for each rule, and properties over random facts.

mod decide;
mod standing;
