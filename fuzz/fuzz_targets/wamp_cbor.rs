//! See `vixen_fuzz::wamp_cbor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vixen_fuzz::wamp_cbor(data));
