//! See `reshake_fuzz::joined`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::joined(data));
