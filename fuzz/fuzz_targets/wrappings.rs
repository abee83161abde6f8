//! See `reshake_fuzz::wrappings`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::wrappings(data));
