//! See `reshake_fuzz::pcapng`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::pcapng(data));
