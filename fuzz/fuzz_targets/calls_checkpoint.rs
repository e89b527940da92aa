//! See `vixen_fuzz::calls_checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vixen_fuzz::calls_checkpoint(data));
