//! See `vixen_fuzz::state`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vixen_fuzz::state(data));
