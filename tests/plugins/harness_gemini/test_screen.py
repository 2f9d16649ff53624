"""What screens of the real program say, as they were seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from afx.plugin import Doing, identify
from afx_harness_gemini import provider
from afx_harness_gemini.provider import GeminiHarness


def screen(name: str) -> str:
    """Return a screen that the real program was seen to show."""
    return (Path(__file__).parent / "screens" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("shown", "doing", "takes"),
    [
        (screen("starting"), Doing.UNKNOWN, None),
        (screen("idle"), Doing.WAITING, True),
        (screen("draft"), Doing.WAITING, True),
        (screen("working"), Doing.WORKING, True),
        (screen("approval"), Doing.WAITING, False),
        (screen("trust"), Doing.WAITING, False),
        (screen("login"), Doing.WAITING, False),
        (screen("settings"), Doing.WAITING, False),
        # What was said may quote anything.
        ("Allow execution of it?\n" + "said\n" * 20 + " > Type your message", Doing.WAITING, True),
        # In a field with an exclamation mark it would be run by a shell.
        (f"{'▄' * 80}\n ! ls\n{'▀' * 80}\n workspace", Doing.UNKNOWN, None),
        ("", Doing.UNKNOWN, None),
    ],
)
async def test_a_screen_says_what_the_agent_does_and_whether_it_takes_messages_lesson_38(
    shown: str, doing: Doing, *, takes: bool | None
) -> None:
    harness = GeminiHarness()
    assert harness.doing(shown) is doing
    assert await harness.takes_messages(None, shown) is takes
    assert await harness.takes_messages(None, None) is None


@pytest.mark.parametrize(("comes_up_within", "takes"), [(1e9, False), (0, None)])
async def test_an_unknown_screen_is_for_a_while_that_of_a_program_that_comes_up_lesson_38(
    monkeypatch: pytest.MonkeyPatch, comes_up_within: float, *, takes: bool | None
) -> None:
    monkeypatch.setattr(provider, "_COMES_UP_WITHIN", comes_up_within)
    me = identify(os.getpid())
    assert me is not None
    assert await GeminiHarness().takes_messages(me, screen("starting")) is takes
    assert await GeminiHarness().takes_messages(me, screen("idle")) is True
