#![no_main]

use callcore_twilio::testing::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::answer(input));
