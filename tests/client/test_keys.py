from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx.client.keys import DetachKeys, is_report
from afx.client.screen import LEAVE, at_rest

BACKSLASH = ord("\\")


@pytest.mark.parametrize(
    "press",
    [
        b"\x1c",
        b"\x1b[92;5u",
        b"\x1b[92::92;5u",
        b"\x1b[92;5:1u",
        b"\x1b[92;69u",
        b"\x1b[92;133u",
        b"\x1b[27;5;92~",
        b"\x1b[57442;5u\x1b[92;5:1u\x1b[92;5:3u",
    ],
)
def test_every_way_to_send_the_key(press: bytes) -> None:
    assert DetachKeys([BACKSLASH]).feed(b"a" + press) in ((b"a", True), (b"a\x1b[57442;5u", True))
    keys = DetachKeys([BACKSLASH, BACKSLASH])
    out, left = keys.feed(press)
    assert not left
    assert keys.holding
    assert keys.feed(press)[1]
    again = DetachKeys([BACKSLASH, BACKSLASH])
    out, _ = again.feed(press)
    assert out + again.feed(b"x")[0] == press + b"x"


@pytest.mark.parametrize(
    "other", [b"\x1b[92;6u", b"\x1b[92u", b"\x1b[92;5:3u", b"\x1b[93;5u", b"\x1b[A", b"\\", b"5"]
)
def test_other_keys_are_left_alone(other: bytes) -> None:
    keys = DetachKeys([BACKSLASH])
    assert keys.feed(other) == (other, False)
    assert not keys.holding


def test_two_different_keys() -> None:
    keys = DetachKeys([ord("a"), ord("d")])
    assert keys.feed(b"\x01\x01x\x04\x01") == (b"\x01\x01x\x04", False)
    assert keys.feed(b"\x04") == (b"", True)
    assert keys.release() == b""


@given(st.lists(st.binary(max_size=6) | st.sampled_from([b"\x1c", b"\x1b[92;5u", b"x"]), max_size=12))
def test_nothing_is_lost_and_nothing_added(pieces: list[bytes]) -> None:
    keys = DetachKeys([BACKSLASH, BACKSLASH])
    out = b""
    for piece in pieces:
        given_out, left = keys.feed(piece)
        out += given_out
        if left:
            assert b"".join(pieces).startswith(out)
            return
    assert out + keys.release() == b"".join(pieces)


@pytest.mark.parametrize(
    "tail",
    [
        b"\x1b",
        b"\x1b[",
        b"\x1b[3",
        b"\x1b[?25",
        b"\x1b]2;title",
        b"\x1b]2;title\x1b",
        b"\x1bPq#0",
        b"\x1b(",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ],
)
def test_a_cut_within_something_is_seen(tail: bytes) -> None:
    assert not at_rest(b"before" + tail)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"text",
        b"\x1b[31m",
        b"\x1b]2;t\x07",
        b"\x1b]2;t\x1b\\",
        b"\x1b(B",
        "é€😀".encode(),
        b"\x1b7",
        b"\x1b[m\xff",
    ],
)
def test_a_cut_between_things_is_seen(tail: bytes) -> None:
    assert at_rest(tail)


def test_what_is_written_at_the_end_is_whole() -> None:
    assert at_rest(LEAVE)


@pytest.mark.parametrize(
    "data",
    [
        b"\x1b[?62;22c",
        b"\x1b[12;40R",
        b"\x1b[?2026;2$y",
        b"\x1b[I",
        b"\x1b[<35;10;20M\x1b[<0;1;1m",
        b"\x1b]11;rgb:0/0/0\x07",
    ],
)
def test_what_a_terminal_says_by_itself(data: bytes) -> None:
    assert is_report(data)


@pytest.mark.parametrize("data", [b"", b"x", b"\x1b[A", b"\x1b", b"\x1b[200~pasted\x1b[201~", b"\x1b[?62cx"])
def test_what_a_person_types_is_no_report(data: bytes) -> None:
    assert not is_report(data)
