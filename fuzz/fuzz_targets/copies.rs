//! See `reshake_fuzz::copies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::copies(data));
