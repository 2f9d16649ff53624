"""What screens of the real program say, as they were seen."""

from __future__ import annotations

from functools import partial

import pytest

from afx.plugin import Doing
from afx_harness_codex.provider import CodexHarness
from plugins.provider_tests import seen

screen = partial(seen, "codex")


@pytest.mark.parametrize(
    ("shown", "doing", "takes"),
    [
        (screen("startup"), Doing.WAITING, True),
        (screen("idle"), Doing.WAITING, True),
        (screen("working"), Doing.WORKING, True),
        (screen("approval"), Doing.WAITING, False),
        (screen("login"), Doing.WAITING, False),
        (
            "  Would you like to run the following command?\n  $ rm x\n\u203a 1. Yes, proceed (y)",
            Doing.WAITING,
            False,
        ),
        (
            "Working (3s • esc to interrupt)\nWould you like to make the following edits?",
            Doing.WAITING,
            False,
        ),
        ("Working (3s • esc to interrupt)\n" + "said\n" * 20, Doing.UNKNOWN, None),
        (">_ OpenAI Codex (v0.169.0)\n\n loading", Doing.UNKNOWN, None),
        # What was said may quote anything.
        (
            "• " + "Press enter to confirm\n" + "said\n" * 12 + "\u203a a draft\n\n  gpt-5",
            Doing.WAITING,
            True,
        ),
        ("\u203a hello\n" + "said\n" * 12, Doing.UNKNOWN, None),
        ("\u203a 1. Use session directory\n enter continue", Doing.WAITING, False),
        (
            "  Where should the new conversation run?\n\u203a 1. Use current Git worktree\n  enter select",
            Doing.WAITING,
            False,
        ),
        ("", Doing.UNKNOWN, None),
    ],
)
async def test_a_screen_says_what_the_agent_does_and_whether_it_takes_messages_lesson_38(
    shown: str, doing: Doing, *, takes: bool | None
) -> None:
    harness = CodexHarness()
    assert harness.doing(shown) is doing
    assert await harness.takes_messages(None, shown) is takes
    assert await harness.takes_messages(None, None) is None
