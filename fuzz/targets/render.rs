#![no_main]

use orch::extract::Format;

// What a line of text draws, told by the fence around it: every row of it becomes an event's text.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((cut, rest)) = data.split_first() else { return };
    let input = [&[*cut], &b"```\n"[..], rest, b"\n```\n"].concat();
    check::check(Format::Text, &input);
});
