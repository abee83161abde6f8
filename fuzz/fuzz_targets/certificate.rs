//! See `reshake_fuzz::certificate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::certificate(data));
