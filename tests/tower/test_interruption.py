"""What a resumed agent is told of its interruption."""

from __future__ import annotations

import pytest

from afx.tower.interruption import PREFIX, ago, message

NOW = 1_000_000.0
KILLED = "Its process was ended by SIGKILL."
GONE = "Its holder is gone."


@pytest.mark.parametrize(
    ("reason", "ended_at", "written_at", "said"),
    [
        (KILLED, NOW - 190, NOW - 7200, f"{KILLED} That was 3 minutes ago. A tool call"),
        (GONE, None, NOW - 7200, f"{GONE} Your conversation was last written to 2 hours ago. A tool call"),
        (GONE, None, None, f"{GONE} A tool call"),
        ("", None, None, "has been restored. A tool call"),
    ],
)
def test_the_message_says_why_and_when_and_what_to_doubt_lesson_25(
    reason: str, ended_at: float | None, written_at: float | None, said: str
) -> None:
    text = message(reason, ended_at=ended_at, written_at=written_at, now=NOW)
    assert text.startswith(f"{PREFIX}You were interrupted, and your conversation has been restored.")
    assert said in text
    assert text.endswith("may not have finished: check before you rely on it, and go on.")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "a moment ago"),
        (0.9, "a moment ago"),
        (1, "1 second ago"),
        (59.9, "59 seconds ago"),
        (60, "1 minute ago"),
        (3600, "1 hour ago"),
        (86399, "23 hours ago"),
        (86400 * 3.5, "3 days ago"),
    ],
)
def test_how_long_ago(seconds: float, said: str) -> None:
    assert ago(seconds) == said
