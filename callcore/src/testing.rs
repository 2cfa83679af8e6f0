//! For those who bring a store or a carrier of their own, and for ourselves: what shows that the
//! invariants hold.

pub mod simulation;
