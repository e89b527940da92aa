//! See `vixen_fuzz::segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vixen_fuzz::segment(data));
