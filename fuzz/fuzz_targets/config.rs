//! See `vixen_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vixen_fuzz::config(data));
