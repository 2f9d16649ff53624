"""What a terminal shows, from the last of its output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx.api.model import Size
from afx.tower.screen import shown

SIZE = Size(cols=20, rows=4)


@pytest.mark.parametrize(
    ("output", "rows"),
    [
        (b"", ["", "", "", ""]),
        (b"one\r\ntwo", ["one", "two", "", ""]),
        (b"1\r\n2\r\n3\r\n4\r\n5", ["2", "3", "4", "5"]),
        (b"x" * 25, ["x" * 20, "xxxxx", "", ""]),
        (b"old line\r\x1b[2Knew", ["new", "", "", ""]),
        (b"a\r\nb\x1b[1A\x1b[2Kc", [" c", "b", "", ""]),
        (b"\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mmore\x1b[4:3m!", ["red more!", "", "", ""]),
        (b"shell\x1b[?1049hfull screen", ["full screen", "", "", ""]),
        (b"full\x1b[?1049lshell", ["shell", "", "", ""]),
        (b"\x1b]0;a title\x07\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", ["link", "", "", ""]),
        (b"\x1bP+q544e\x1b\\\x1b_Gpayload\x1b\\text", ["text", "", "", ""]),
        (b"\x1b[>4;2m\x1b[=5;1u\x1b[<u\x1b[?2026h\x1b[>1u\x1b[?6n\x1b[ qtext", ["text", "", "", ""]),
        (b"ab\x1b[scd\x1b[uXY", ["abXY", "", "", ""]),
        ("wide 文字 ü".encode(), ["wide 文字 ü", "", "", ""]),
        ("cut ü".encode()[:-1], ["cut", "", "", ""]),
    ],
)
def test_rows(output: bytes, rows: list[str]) -> None:
    assert shown(output, SIZE).split("\n") == rows


PIECES = st.sampled_from(
    [b"\x1b", b"[", b"?", b"1;2", b"H", b"m", b"P", b"]", b"\x07", b"\x9b", b"r", b"\x0e"]
)


@given(st.lists(PIECES | st.binary(max_size=5), max_size=40).map(b"".join))
def test_no_output_is_too_odd(output: bytes) -> None:
    assert shown(output, SIZE).count("\n") in {0, SIZE.rows - 1}
