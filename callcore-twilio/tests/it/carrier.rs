//! Twilio keeps what carriers promise, through a fake that plays every trouble.

callcore::carrier_conformance!(crate::line::ThroughFakes);
