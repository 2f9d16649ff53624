"""Cuts, modes, questions and the ring, each against a slow and plain model of a terminal's parser."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from afx_holding.queries import LONGEST, whole_questions, without_questions
from afx_holding.ring import Ring
from afx_holding.safe_cut import safe_cut
from afx_holding.screen_modes import MODES_OFF, RESET, ModeTracker

unhurried = settings(deadline=None)
"""A busy machine is no defect."""

TEXT = ["plain text ", "naïve 文字 🙂", "line\r\n", "\t", "x" * 50, "a;1m", "[0m"]
SEQUENCES = [
    "\x1b[?1049h", "\x1b[?1049l", "\x1b[?47h", "\x1b[?25l", "\x1b[?25h", "\x1b[?1;2004h", "\x1b[?2004l",
    "\x1b[?1000h", "\x1b[?1006h", "\x1b[?1000;1006l", "\x1b[?7l", "\x1b[?6h", "\x1b[4h", "\x1b[4l",
    "\x1b[2;20r", "\x1b[r", "\x1b[5 q", "\x1b[ q", "\x1b=", "\x1b>", "\x1b(0", "\x1b(B", "\x0e", "\x0f",
    "\x1b[1;38;5;208m", "\x1b[38;2;1;2;3;4m", "\x1b[48:2::1:2:3m", "\x1b[22;39m", "\x1b[m", "\x1b[0;7m",
    "\x1b[H", "\x1b[12;40H", "\x1b[K", "\x1b]0;a title\x07", "\x1b]2;größer\x1b\\",
    "\x1b]8;;http://x\x1b\\", "\x1bP+q544e\x1b\\", "\x1b_Gpayload\x1b\\", "\x1b[>1u", "\x1b[<u",
    "\x1b[=5;1u", "\x1b[!p", "\x1bc", "\x1b7", "\x1b8", "\x1bM", "\x1b[>4;2m", "\x1b[?2026h", "\x1b[?2026l",
]  # fmt: skip
OUTPUT = st.lists(st.sampled_from(TEXT + SEQUENCES), max_size=40).map(lambda parts: "".join(parts).encode())


def is_inside(output: bytes, at: int) -> bool:
    """Tell, a byte at a time, whether a terminal is in the middle of a sequence or a character at `at`."""
    state = "ground"
    for byte in output[:at]:
        if byte == 0x1B:
            state = "escape"
        elif byte in (0x18, 0x1A):
            state = "ground"
        elif state == "escape":
            state = {0x5B: "csi", 0x5D: "osc"}.get(byte, "string" if byte in b"PX^_" else "ground")
            if 0x20 <= byte <= 0x2F:
                state = "choice"
        elif (
            (state == "csi" and 0x40 <= byte <= 0x7E)
            or (state == "osc" and byte == 0x07)
            or (state == "choice" and byte >= 0x30)
        ):
            state = "ground"
    try:
        output[:at].decode()
    except UnicodeDecodeError:
        return True
    return state != "ground"


def state_after(output: bytes) -> bytes:
    tracker = ModeTracker()
    tracker.feed(output, 0, len(output))
    return tracker.prologue()


@unhurried
@given(OUTPUT, st.integers(0, 2000))
def test_cut_is_never_inside_a_sequence_or_a_character_lesson_32(output: bytes, place: int) -> None:
    wanted = place % (len(output) + 1)
    cut = safe_cut(bytearray(output), len(output), wanted)
    assert cut.swallow == b""
    assert not is_inside(output, cut.at)
    assert wanted - 64 <= cut.at <= wanted + 1024


@pytest.mark.parametrize("character", ["ï", "文", "🙂"])
def test_a_cut_within_a_character_is_before_it_lesson_32(character: str) -> None:
    output = bytearray(f"a{character}b".encode())
    places = range(1, len(output) - 1)
    assert {safe_cut(output, len(output), place).at for place in places} == {1}


@unhurried
@given(OUTPUT, OUTPUT, st.integers(0, 2000))
def test_modes_are_the_same_however_output_is_cut_lesson_32(first: bytes, rest: bytes, place: int) -> None:
    output = first + rest
    cut = safe_cut(bytearray(output), len(output), place % (len(output) + 1)).at
    in_parts = ModeTracker()
    in_parts.feed(output, 0, cut)
    in_parts.feed(output, cut, len(output))
    assert in_parts.prologue() == state_after(output)


@unhurried
@given(OUTPUT)
def test_prologue_restores_the_modes_lesson_32(output: bytes) -> None:
    prologue = state_after(output)
    assert state_after(prologue) == prologue
    assert state_after(b"\x1b[?1049h\x1b[?1003h\x1b[1;31m\x1b[4h\x0e\x1b[?7l" + prologue) == prologue
    assert prologue.startswith(RESET)


@pytest.mark.parametrize(
    ("output", "restored"),
    [
        (
            b"\x1b[?1049h\x1b[?2004h\x1b[?1002;1006h",
            [b"\x1b[?1049h", b"\x1b[?2004h", b"\x1b[?1002h", b"\x1b[?1006h"],
        ),
        (b"\x1b[?25l\x1b[2 q", [b"\x1b[?25l", b"\x1b[2 q"]),
        (b"\x1b]0;my title\x07", [b"\x1b]2;my title\x07"]),
        (b"\x1b[1m\x1b[38;5;9mred", [b"\x1b[1;38;5;9m"]),
        (b"\x1b[3;10r\x1b[?1h\x1b=", [b"\x1b[3;10r", b"\x1b[?1h", b"\x1b="]),
        (b"\x1b[>1u\x1b[>5u\x1b[<u", [b"\x1b[>1u"]),
    ],
)
def test_each_mode_is_in_the_prologue_lesson_32(output: bytes, restored: list[bytes]) -> None:
    after_reset = state_after(output)[len(RESET) :]
    for sequence in restored:
        assert sequence in after_reset


def test_reset_leaves_no_mode_on() -> None:
    everything = "".join(one for one in SEQUENCES if one not in ("\x1bc", "\x1b[!p")).encode()
    assert state_after(everything + MODES_OFF).removesuffix("\x1b]2;größer\x07".encode()) == RESET
    assert state_after(everything + b"\x1bc").removesuffix("\x1b]2;größer\x07".encode()) == RESET


QUESTIONS = [
    b"\x1b[c", b"\x1b[0c", b"\x1b[>c", b"\x1b[=c", b"\x1b[5n", b"\x1b[6n", b"\x1b[?6n", b"\x1b[?2026$p",
    b"\x1bP$qm\x1b\\", b"\x1bP+q544e\x1b\\", b"\x1b[>q", b"\x1b[>0q", b"\x1b]10;?\x07", b"\x1b]11;?\x1b\\",
    b"\x1b]4;1;?\x07", b"\x1b[?u", b"\x1b[14t", b"\x1b[16t", b"\x1b[18t", b"\x1b[21t", b"\x1b]52;c;?\x07",
    b"\x1bZ", b"\x05", b"\x1b[?996n",
]  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS)
def test_question_is_blanked_in_its_length_lesson_37(question: bytes) -> None:
    assert without_questions(b"a" + question + b"b") == b"a" + bytes(len(question)) + b"b"


@unhurried
@given(OUTPUT)
def test_what_is_no_question_stays_lesson_37(output: bytes) -> None:
    answers = b"\x1b[?62;4c\x1b[24;80R\x1b]11;rgb:0/0/0\x07\x1b]52;c;aGk=\x07\x1b[8;24;80t"
    output = output.replace(b"\x1bP+q544e\x1b\\", b"")
    assert without_questions(output + answers) == output + answers


@unhurried
@given(st.lists(st.sampled_from([one.encode() for one in TEXT + SEQUENCES] + QUESTIONS)), st.integers(1, 200))
def test_pieces_never_split_a_question_lesson_37(parts: list[bytes], size: int) -> None:
    output = b"".join(parts)
    whole = without_questions(output)
    assert len(whole) == len(output)
    got = b""
    while len(got) < len(output):
        piece = output[len(got) : len(got) + size]
        if len(got) + len(piece) < len(output):
            piece = piece[: whole_questions(piece)]
        assert piece
        got += without_questions(piece)
    # A question that is longer than a piece can hold stays as it is; none in practice is.
    assume(size > 40)
    assert got == whole


def test_longest_question_fits_in_a_piece_lesson_37() -> None:
    assert LONGEST < 1 << 16


@unhurried
@given(st.lists(st.tuples(OUTPUT, st.integers(1, 300)), max_size=30))
def test_ring_is_the_end_of_the_stream_lesson_31(parts: list[tuple[bytes, int]]) -> None:
    ring = Ring(1 << 12)
    stream = b""
    # In small pieces: of very many styles at once only the last count, see `_read_styles`.
    tracker = ModeTracker()
    for output, times in parts:
        ring.append(output * times)
        for _ in range(times):
            tracker.feed(output, 0, len(output))
        stream += output * times
        assert ring.end == len(stream)
        assert min(len(stream), 1 << 12) <= ring.end - ring.start <= (1 << 12) + (1 << 16) + 4096
        assert bytes(ring.view(ring.start, len(stream))) == stream[ring.start :]
        assert ring.start == 0 or not is_inside(stream, ring.start)
    assert ring.modes().prologue() == tracker.prologue()


def test_ring_takes_from_a_descriptor_what_is_appended_elsewhere_lesson_31() -> None:
    taken, appended = Ring(1 << 16), Ring(1 << 16)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    try:
        for number in range(200):
            output = b"%d\x1b[%dm" % (number, 30 + number % 8) * 300
            os.write(writer, output)
            appended.append(output)
            while taken.end < appended.end:
                assert 0 < taken.take(reader, 4096) <= 4096
            assert bytes(taken.view(taken.end - len(output), len(output) + 5)) == output
        with pytest.raises(BlockingIOError):
            taken.take(reader, 4096)
        assert taken.start > 0
        assert (
            bytes(taken.view(taken.start, 1 << 20))[-(1 << 16) :]
            == bytes(appended.view(appended.start, 1 << 20))[-(1 << 16) :]
        )
        assert taken.modes().prologue() == appended.modes().prologue()
        os.close(writer)
        writer = -1
        assert taken.take(reader, 4096) == 0
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)


@unhurried
@given(
    st.lists(
        st.sampled_from(["1", "2", "22", "31", "39", "0", "48;5;7", "1;31", "4", "24", "7"]), max_size=30
    )
)
def test_styles_read_at_once_are_those_read_one_by_one_lesson_32(styles: list[str]) -> None:
    sequences = [f"\x1b[{style}m".encode() for style in styles]
    one_by_one = ModeTracker()
    for sequence in sequences:
        one_by_one.feed(sequence, 0, len(sequence))
    assert state_after(b"".join(sequences)) == one_by_one.prologue()


@unhurried
@given(OUTPUT, st.one_of(st.none(), st.integers(0, 3000)))
def test_replay_and_its_prologue_give_the_same_modes_lesson_32(output: bytes, tail: int | None) -> None:
    ring = Ring(1 << 16)
    ring.append(output)
    replay = ring.replay(tail)
    shown = replay.prologue + bytes(ring.view(replay.offset, len(output)))
    assert state_after(shown) == state_after(output)
    assert replay.alternate == (re.search(rb"\x1b\[\?(1049|47)h", state_after(output)) is not None)


@pytest.mark.parametrize("endless", [b"x", "é".encode(), b"\x1b]0;", b"\x1bPq", b"\x1b[", b"\xff"])
def test_output_without_an_end_stays_bounded_lesson_34(endless: bytes) -> None:
    ring = Ring(1 << 16)
    ring.append(endless if endless.startswith(b"\x1b") else b"")
    filler = b"1" if endless.startswith(b"\x1b") else endless
    for _ in range(100):
        ring.append(filler * (20_000 // len(filler)))
    assert ring.end - ring.start <= 3 << 16
    replay = ring.replay(100)
    if endless.startswith((b"\x1b]", b"\x1bP")):
        # What follows is still inside of the string, and the prologue has it swallowed.
        assert replay.prologue.endswith((b"\x1b]999;", b"\x1b_"))
        ring.append(b"\x07\x1b\\after\n")
        assert ring.replay(6).prologue.endswith(b"\x1b[2J")
