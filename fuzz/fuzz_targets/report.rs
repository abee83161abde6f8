//! See `reshake_fuzz::report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::report(data));
