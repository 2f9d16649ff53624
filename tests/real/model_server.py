"""A model for real agent programs to talk to: it records what is asked, and answers by rules, not by thought.

So a test knows beforehand what the program must show. In which language programs ask is the business of
`anthropic_server` and its like.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import msgspec

COMMAND = re.compile(r"Run the command: (.+)")
CODE_WORD = re.compile(r"the code word is (\w+)", re.IGNORECASE)
QUESTION = "What is the code word?"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One request for an answer.

    Attributes:
        system: The whole system prompt.
        messages: Role and text of each message; text that the program itself added is left out.
        has_tools: True for the conversation itself, False for what the program asks on the side, such as a
            title.
        answer: What it was answered.
    """

    system: str
    messages: tuple[tuple[str, str], ...]
    has_tools: bool
    answer: str

    @property
    def prompt(self) -> str:
        """What the person said last."""
        return next((text for role, text in reversed(self.messages) if role == "user"), "")


def command_in(messages: tuple[tuple[str, str], ...]) -> str | None:
    """Return the command that the last message asks for, if it is the person's and asks for one."""
    role, text = messages[-1] if messages else ("", "")
    found = COMMAND.search(text) if role == "user" else None
    return None if found is None else found[1]


def answer_to(messages: tuple[tuple[str, str], ...]) -> str:
    """Return the answer: a code word is noted backwards and told when asked for; all else is repeated.

    A prompt that names a command is answered by a call of the tool Bash, see `_blocks`.
    """
    said = [text for role, text in messages if role == "user"]
    prompt = said[-1] if said else ""
    if QUESTION in prompt:
        known = [found for text in said for found in CODE_WORD.findall(text)]
        return f"It was {known[-1]}." if known else "I know of none."
    if told := CODE_WORD.findall(prompt):
        return f"Noted {told[-1][::-1]}."
    return f"You said: {prompt}"


class ModelServer:
    """The server's record and address, while `loopback.serve` runs it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._changed = threading.Condition()
        self._turns: list[Turn] = []

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns of conversations so far, oldest first. What programs ask on the side is left out."""
        with self._changed:
            return tuple(turn for turn in self._turns if turn.has_tools)

    def wait_for(self, wanted: Callable[[Turn], bool], *, seconds: float = 30, since: int = 0) -> Turn:
        """Return the first turn after the first `since` ones that is `wanted`.

        Raises:
            AssertionError: None came in time. It says which did.
        """

        def find() -> Turn | None:
            asked = [turn for turn in self._turns if turn.has_tools]
            return next((turn for turn in asked[since:] if wanted(turn)), None)

        with self._changed:
            found = self._changed.wait_for(find, seconds)
            prompts = [turn.prompt for turn in self._turns]
        assert found is not None, f"No such turn came in {seconds:g} s; the prompts were {prompts}."
        return found

    def respond(self, body: dict[str, Any]) -> str:
        """Record a request and return its answer."""
        raise NotImplementedError

    def record(self, *, system: str, messages: tuple[tuple[str, str], ...], body: dict[str, Any]) -> str:
        """Record what was asked and return the answer."""
        answer = answer_to(messages)
        turn = Turn(system=system, messages=messages, has_tools=bool(body.get("tools")), answer=answer)
        with self._changed:
            self._turns.append(turn)
            self._changed.notify_all()
        return answer
