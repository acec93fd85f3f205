#![no_main]

use orch::extract::Format;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(Format::Gemini, data));
