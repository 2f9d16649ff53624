"""What screens of the real program say, as they were seen."""

from __future__ import annotations

import pytest

from afx.plugin import Doing
from afx_harness_claude.provider import ClaudeHarness

RULE = "─" * 80

TALK = """\
\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT} hello, press esc to interrupt

● It says: esc to interrupt. Esc to cancel. Thinking…

"""

IDLE = f"""{TALK}✻ Cooked for 0s · done 11:02 AM

{RULE}
\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}\xa0a draft
  of two lines
{RULE}
  ⏸ manual mode on · ? for shortcuts · ← for agents
"""

WORKING = f"""{TALK}✻ Sketching… (1s · ↓ 10 tokens)
  ⎿  Tip: Use Plan Mode to prepare for a complex request.

{RULE}
\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}
{RULE}
  ⏸ manual mode on"""

PERMISSION = f"""{TALK}  As asked.
  ⎿  $ touch /tmp/x

{RULE}
 Bash command
 As asked.
╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
 touch /tmp/x
╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
 Do you want to proceed?
 \N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT} 1. Yes
   2. Yes, and always allow access to /tmp from this project
   3. No

 Esc to cancel · Tab to amend
"""

TRUST = f"""{RULE}
 Accessing workspace:

 /w

 \N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT} No, exit
   Yes, I trust this folder

 Enter to confirm · Esc to cancel
"""


@pytest.mark.parametrize(
    ("screen", "doing"),
    [
        (IDLE, Doing.WAITING),
        (WORKING, Doing.WORKING),
        (IDLE.replace("? for shortcuts", "esc to interrupt"), Doing.WORKING),
        (WORKING.partition(RULE)[0], Doing.WORKING),
        (PERMISSION, Doing.WAITING),
        (TRUST, Doing.WAITING),
        (TALK + "\n" * 9 + "$ ls\n" * 9, Doing.UNKNOWN),
        (RULE + "\n" + RULE, Doing.UNKNOWN),
        (RULE, Doing.UNKNOWN),
        ("", Doing.UNKNOWN),
    ],
    ids=["idle", "spinner", "footer", "no-prompt", "permission", "trust", "other", "rules", "rule", "empty"],
)
def test_a_screen_says_whether_the_agent_waits(screen: str, doing: Doing) -> None:
    assert ClaudeHarness().doing(screen) is doing


@pytest.mark.parametrize(
    ("screen", "takes"), [(PERMISSION, False), (TRUST, False), (IDLE, None), (WORKING, None), ("", None)]
)
async def test_where_a_question_is_shown_no_message_is_taken_lesson_38(
    screen: str, *, takes: bool | None
) -> None:
    assert await ClaudeHarness().takes_messages(None, screen) is takes
