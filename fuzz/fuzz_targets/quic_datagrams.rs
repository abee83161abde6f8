//! See `reshake_fuzz::quic_datagrams`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reshake_fuzz::quic_datagrams(data));
