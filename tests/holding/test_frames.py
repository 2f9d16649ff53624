"""The wire format: any split of the bytes gives the same frames, and what cannot be read is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afx_holding import frames

unhurried = settings(deadline=None)
"""A busy machine is no defect."""

Frames = list[tuple[int, bytes]]


def cut_at(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


@unhurried
@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300))), st.lists(st.integers(0, 10_000)))
def test_frames_do_not_depend_on_how_the_stream_was_split(sent: Frames, places: list[int]) -> None:
    stream = b"".join(frames.raw(kind, payload) for kind, payload in sent)
    decoder = frames.Decoder()
    received = [frame for piece in cut_at(stream, places) for frame in decoder.feed(piece)]
    assert received == sent


def with_output_joined(parts: Frames) -> Frames:
    joined: Frames = []
    for kind, payload in parts:
        if kind == frames.DATA and joined and joined[-1][0] == frames.DATA:
            joined[-1] = (kind, joined[-1][1] + payload)
        else:
            joined.append((kind, payload))
    return joined


@unhurried
@given(
    st.lists(st.tuples(st.integers(3, 5), st.binary(min_size=1, max_size=300))),
    st.lists(st.integers(0, 10_000)),
)
def test_output_that_is_passed_on_is_neither_held_back_nor_moved(sent: Frames, places: list[int]) -> None:
    stream = b"".join(frames.raw(kind, payload) for kind, payload in sent)
    decoder = frames.Decoder(passed_on=frames.DATA)
    received = [frame for piece in cut_at(stream, places) for frame in decoder.feed(piece)]
    assert all(payload for _, payload in received)
    assert with_output_joined(received) == with_output_joined(sent)


def test_the_part_of_a_frame_that_is_there_is_passed_on_at_once() -> None:
    decoder = frames.Decoder(passed_on=frames.DATA)
    frame = frames.raw(frames.DATA, b"abcdef")
    assert list(decoder.feed(frame[:8])) == [(frames.DATA, b"abc")]
    assert list(decoder.feed(frame[8:10])) == [(frames.DATA, b"de")]
    assert list(decoder.feed(frame[10:] + frames.raw(frames.PING, b"1"))) == [
        (frames.DATA, b"f"),
        (frames.PING, b"1"),
    ]


def test_oversized_frame_is_refused_after_those_before_it_lesson_42() -> None:
    stream = frames.raw(frames.PING, b"1") + frames.HEADER.pack(frames.DATA, frames.MAX_PAYLOAD + 1)
    decoded = frames.Decoder().feed(stream)
    assert next(decoded) == (frames.PING, b"1")
    with pytest.raises(frames.FrameError, match="over the limit"):
        next(decoded)


def test_largest_frame_is_not_refused() -> None:
    payload = bytes(frames.MAX_PAYLOAD)
    assert list(frames.Decoder().feed(frames.raw(frames.DATA, payload))) == [(frames.DATA, payload)]


@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b'"x"', b"1", b"\xff\xfe", b"nul", b"[" * 200_000, b"\x00\x00\x00{"]
)
def test_malformed_json_is_refused_lesson_42(payload: bytes) -> None:
    with pytest.raises(frames.FrameError):
        frames.fields_of(payload)


@unhurried
@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.none(), st.booleans())))
def test_fields_survive_the_wire(fields: dict[str, object]) -> None:
    ((kind, payload),) = frames.Decoder().feed(frames.control(frames.HELLO, inner=fields))
    assert kind == frames.HELLO
    assert frames.fields_of(payload) == {"inner": fields}


def test_environment_that_is_not_utf8_survives_the_wire() -> None:
    value = b"caf\xe9".decode("utf-8", "surrogateescape")
    ((_, payload),) = frames.Decoder().feed(frames.control(frames.LAUNCH, value=value))
    assert frames.fields_of(payload)["value"] == value


@pytest.mark.parametrize("value", [None, "80", 80.0, True, -1, 0, 70_000, [80]])
def test_numbers_are_checked(value: object) -> None:
    with pytest.raises(frames.FrameError, match="cols"):
        frames.number({"cols": value}, "cols", 1, 65_535)
