//! See `reshake_fuzz::dtls_datagrams`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::dtls_datagrams(data));
