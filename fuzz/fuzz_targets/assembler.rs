//! See `reshake_fuzz::assembler`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::assembler(data));
