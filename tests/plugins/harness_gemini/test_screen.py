"""What screens of the real program say, as they were seen."""

from __future__ import annotations

import os
from functools import partial

import pytest

from afx.plugin import Doing, identify
from afx_harness_gemini import provider
from afx_harness_gemini.provider import GeminiHarness
from plugins.provider_tests import seen

screen = partial(seen, "gemini")


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
        (" > Type your message or @path/to/file\n", Doing.WAITING, True),
        (
            "Allow execution of: 'rm'?\n 1. Allow once\n Waiting for user confirmation...",
            Doing.WAITING,
            False,
        ),
        (" (esc to cancel, 3s)\n Apply this change?", Doing.WAITING, False),
        ("Do you trust the files in this folder?", Doing.WAITING, False),
        ("(esc to cancel, 3s)\n" + "said\n" * 20, Doing.UNKNOWN, None),
        ("Gemini CLI v0.61.0", Doing.UNKNOWN, None),
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


@pytest.mark.parametrize(
    ("shown", "drafted"),
    [
        (screen("draft"), True),
        (screen("draft").replace("draft of mine", "draft of mine\n"), True),
        (screen("idle"), False),
        (screen("working"), False),
        (screen("approval"), False),
        (screen("starting"), False),
        (f"{'▄' * 80}\n > said\n{'▀' * 80}\n{'▄' * 80}\n >   Type your message\n{'▀' * 80}", False),
        (f"{'▄' * 80}\n * a draft\n{'▀' * 80}", True),
        (f"{'▄' * 80}\n > two\n   lines\n{'▀' * 80}\n workspace\n /w", True),
        (f"{'▄' * 80}\n > said before\n{'▀' * 80}\n a\n dialog\n of\n four", False),
        ("", False),
    ],
)
def test_a_screen_says_whether_something_is_in_the_input_field_lesson_38(
    shown: str, *, drafted: bool
) -> None:
    assert GeminiHarness().shows_draft(shown) is drafted


@pytest.mark.parametrize(("comes_up_within", "takes"), [(1e9, False), (0, None)])
async def test_an_unknown_screen_is_for_a_while_that_of_a_program_that_comes_up_lesson_38(
    monkeypatch: pytest.MonkeyPatch, comes_up_within: float, *, takes: bool | None
) -> None:
    monkeypatch.setattr(provider, "_COMES_UP_WITHIN", comes_up_within)
    me = identify(os.getpid())
    assert me is not None
    assert await GeminiHarness().takes_messages(me, screen("starting")) is takes
    assert await GeminiHarness().takes_messages(me, screen("idle")) is True
