"""How long it takes to plan how 1000 agents are brought back, once the facts are known."""

from __future__ import annotations

import json

import msgspec

from afx.api.harness import Evidence, HarnessSession
from afx.api.model import ConversationSource
from afx.tower.resume import Action, Facts, FoundTranscript, StoredConversation, plan

from .measure import Options, by_turns, finding
from .table import Beside, Finding

_AGENTS = 1000
_CONVERSATIONS = 5
_TRANSCRIPTS = 3


def run(options: Options) -> list[Finding]:
    """Plan for agents of which one in four has to go down to each next rung."""
    everybody = [_facts(number) for number in range(_AGENTS)]
    as_json = json.dumps(msgspec.to_builtins(everybody))
    times = by_turns(
        options.runs * 2,
        {"plans": lambda: _plan_all(everybody), "reading": lambda: json.loads(as_json)},
    )
    return [
        finding(
            "planning",
            f"{_AGENTS} resumes planned",
            times["plans"],
            "ms",
            scale=1e3,
            beside=[Beside("json.loads of the same facts", times["reading"].median * 1e3)],
            target="< 50 ms",
        )
    ]


def _plan_all(everybody: list[Facts]) -> None:
    for facts in everybody:
        if plan(facts).action is Action.REFUSE:
            raise RuntimeError("An agent that can be brought back was refused.")


def _facts(number: int) -> Facts:
    gone = number % 4
    return Facts(
        harness="claude",
        chain=HarnessSession.chain,
        alone=True,
        stored=tuple(
            StoredConversation(
                id=f"{number}-{one}",
                harness="claude",
                source=ConversationSource.MINTED,
                evidence=Evidence.MISSING if gone > 1 or one < gone else Evidence.FOUND,
            )
            for one in range(_CONVERSATIONS)
        ),
        found=tuple(
            FoundTranscript(id=f"{number}-found-{one}", modified_at=float(-one))
            for one in range(_TRANSCRIPTS if gone < 3 else 0)
        ),
    )
