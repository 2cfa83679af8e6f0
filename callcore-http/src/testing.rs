//! What tests of the router share.
