//! See `vixen_fuzz::transcode_payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vixen_fuzz::transcode_payload(data));
