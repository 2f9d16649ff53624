"""What is read of a transcript: little of it, and whatever state it is in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx_harness_claude import talk
from afx_harness_claude.talk import has_turn, read_talk

AT = "2026-11-21T11:02:26.726Z"
LATER = "2026-11-21T12:02:26.726Z"


def line(kind: str, content: object, **fields: object) -> str:
    shape = {"type": kind, "message": {"content": content}, "cwd": "/w", "timestamp": AT, **fields}
    return json.dumps(shape) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.jsonl"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"type":"user","cwd":"/w"}\n', True),
        ('{"type":"queue-operation"}\n{"type":"assistant"}\n', True),
        ('{"type":"queue-operation"}\n{"type":"last-prompt"}\n', False),
        ('{"type":"summary","text":"\\"type\\":\\"user\\""}\n', False),
        ('not JSON\n\n[1]\n{"type":5}\n{"type":"user"}\n', True),
        ('{"type":"user","message":{"content":"cut sh', False),
        ("", False),
        ('{"type":"user","isSidechain":true}\n', False),
        ('{"type":"user","cwd":null,"timestamp":7,"message":[]}\n', True),
    ],
)
def test_only_a_transcript_with_a_turn_can_be_resumed_lesson_19(content: str, said: bool, path: Path) -> None:
    path.write_text(content, encoding="utf-8")
    assert has_turn(path) is said


def test_a_talk_is_told_by_its_beginning_and_its_end(path: Path) -> None:
    path.write_text(
        '{"type":"queue-operation","timestamp":"2020-01-01T00:00:00Z"}\n'
        + line("user", "go", isSidechain=True, cwd="/elsewhere")
        + line("user", "<command-name>/status</command-name>")
        + line("user", "not of the person", isMeta=True)
        + line("user", [{"type": "image"}, {"type": "text", "text": " Fix \n\x1b[31m it "}])
        + line("user", "said after a cd", cwd="/w/sub")
        + line("assistant", [{"type": "text", "text": "x" * 300}], timestamp=LATER, cwd="/w/sub")
        + line("assistant", [{"type": "tool_use"}], timestamp=LATER)
        + '{"type":"last-prompt","timestamp":"2030-01-01T00:00:00Z"}\n{"type":"assistant","mess',
        encoding="utf-8",
    )
    found = read_talk(path)
    assert found is not None
    assert (found.cwd, found.first, found.last) == ("/w", "Fix [31m it", "x" * 200)
    assert found.began_at is not None
    assert found.modified_at - found.began_at == 3600
    assert found.size == path.stat().st_size


def test_a_talk_without_times_is_as_old_as_its_file(path: Path) -> None:
    path.write_text(line("user", "hi", timestamp="soon"), encoding="utf-8")
    os.utime(path, (5, 5))
    found = read_talk(path)
    assert found is not None
    assert (found.began_at, found.modified_at) == (None, 5)


def test_nothing_said_is_no_talk_lesson_19(path: Path) -> None:
    path.write_text(line("system", "x") + line("user", "x", isSidechain=True), encoding="utf-8")
    assert read_talk(path) is None


def test_of_a_huge_transcript_only_the_ends_are_read(path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(line("user", "first words"))
        file.seek(400 << 20)
        file.write("\n" + line("assistant", [{"type": "text", "text": "last words"}], timestamp=LATER))

    def counted() -> int:
        fields = Path("/proc/self/io").read_text(encoding="ascii").split()
        return int(fields[fields.index("rchar:") + 1])

    before = counted() if Path("/proc/self/io").exists() else None
    found = read_talk(path)
    assert found is not None
    assert (found.first, found.last) == ("first words", "last words")
    if before is not None:
        assert counted() - before < 1 << 20


def test_a_first_message_with_a_picture_is_one_long_line(path: Path) -> None:
    picture = {"type": "image", "source": {"data": "A" * (3 << 20)}}
    path.write_text(line("user", [picture, {"type": "text", "text": "look"}]), encoding="utf-8")
    found = read_talk(path)
    assert found is not None
    assert (found.cwd, found.first, found.last) == ("/w", "look", "look")


def test_endless_garbage_is_given_up_and_not_called_silence_lesson_03(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "_LONGEST_HEAD", 1000)
    path.write_bytes(b"\0" * 2000)
    for read in (has_turn, read_talk):
        with pytest.raises(OSError, match="beginning"):
            read(path)


@pytest.mark.parametrize("read", [has_turn, read_talk])
def test_a_pipe_is_not_waited_for(path: Path, read: object) -> None:
    os.mkfifo(path)
    assert callable(read)
    with pytest.raises(OSError, match="regular"):
        read(path)


_KEYS = ["type", "text", "content", "message", "cwd", "timestamp"]
_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(_KEYS), _values | st.just("user")) | st.binary(), max_size=4))
def test_no_line_is_too_odd_to_pass_over(
    tmp_path_factory: pytest.TempPathFactory, lines: list[object]
) -> None:
    path = tmp_path_factory.mktemp("odd") / "t.jsonl"
    rows = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in lines]
    path.write_bytes(b"\n".join(rows))
    found = read_talk(path)
    assert (found is not None) == has_turn(path)
