//! See `reshake_fuzz::rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::rules(data));
