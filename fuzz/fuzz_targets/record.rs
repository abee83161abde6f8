//! See `reshake_fuzz::record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::record(data));
