//! See `vixen_fuzz::link_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vixen_fuzz::link_frame(data));
