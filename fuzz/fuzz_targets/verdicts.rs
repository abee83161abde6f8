//! See `reshake_fuzz::verdicts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::verdicts(data));
