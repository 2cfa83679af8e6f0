//! Inputs that fuzzing found, and the shapes it began with, held to the same promises.

use std::fs;
use std::path::Path;

use callcore_twilio::testing::fuzzing;

/// Runs a target on each input that is kept for it.
fn replay(target: &str, run: fn(&[u8])) {
    // Whoever builds the whole workspace has TLS without a provider of its own.
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(target);
    let mut inputs: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "nothing is kept for {target}");
    for path in inputs {
        // A panic does not say which input it was.
        println!("{}", path.display());
        run(&fs::read(&path).unwrap());
    }
}

#[test]
fn whatever_twilio_answers_only_what_is_proven_counts() {
    replay("answer", fuzzing::answer);
}

#[test]
fn every_document_reads_back_as_what_it_was_made_of() {
    replay("twiml", fuzzing::twiml);
}

#[test]
fn every_request_is_of_its_own_call_and_loses_no_opt_out() {
    replay("webhook", fuzzing::webhook);
}
