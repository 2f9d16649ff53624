"""Messages to agents: each arrives whole, is submitted once, and waits while the agent is down.

A message is typed into the agent's terminal. It is kept apart from what a person types there, and from a
program that is still starting and would throw it away.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from contextlib import suppress

import anyio
import anyio.abc
import msgspec

from afx.api.errors import AfxError, BadInputError
from afx.api.model import Agent, AgentId, AgentState, Message, TerminalId, TerminalRecord
from afx.api.process import ProcessIdentity

from .agents import Agents
from .harnesses import Harnesses
from .hub import TerminalHub
from .terminals import Terminals

log = logging.getLogger("afx.inbox")

LONGEST = 256 * 1024
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_KEY_PAUSE = 0.15
_SETTLED_AFTER_QUIET = 1.0
_SETTLED_AT_LAST = 20.0
_LOOK_AGAIN_FIRST = 0.1
_LOOK_AGAIN_AT_LAST = 2.0
_GLANCE_WITHIN = 5.0
_PATIENCE_OF_SENDER = 5.0


class _ComingUp(msgspec.Struct, frozen=True):
    """What is known of a program that comes up: since when it does, and whether it has."""

    terminal: TerminalId
    process: ProcessIdentity | None
    since: float
    is_settled: bool = False


class Inbox:
    """The messages that wait for agents, and their delivery."""

    def __init__(
        self, agents: Agents, terminals: Terminals, harnesses: Harnesses, tasks: anyio.abc.TaskGroup
    ) -> None:
        self._tasks = tasks
        self._handled: dict[str, anyio.Event] = {}
        self._agents = agents
        self._terminals = terminals
        self._harnesses = harnesses
        self._delivering: dict[AgentId, anyio.Lock] = {}
        self._coming_up: dict[AgentId, _ComingUp] = {}

    def forget(self, agent_id: AgentId) -> None:
        """Forget about an agent that was removed."""
        self._delivering.pop(agent_id, None)
        self._coming_up.pop(agent_id, None)

    async def send(self, agent_id: AgentId, text: str) -> bool:
        """Store a message for an agent, and return whether it was delivered within a few seconds.

        Where it was not it waits, and is delivered as soon as it can be.

        Raises:
            NotFoundError: There is no such agent.
            BadInputError: The text is empty, or longer than `LONGEST` characters.
        """
        self._agents.agent(agent_id)
        text = clean(text)
        await self._agents.commit(
            message := Message(id=secrets.token_hex(8), agent_id=agent_id, text=text, at=time.time())
        )
        if self._agents.agent(agent_id).state is not AgentState.RUNNING:
            return False
        handled = self._handled[message.id] = anyio.Event()
        self._tasks.start_soon(self.on_running, agent_id)
        with anyio.move_on_after(_PATIENCE_OF_SENDER):
            await handled.wait()
        self._handled.pop(message.id, None)
        return all(waiting.id != message.id for waiting in self._agents.waiting(agent_id))

    async def deliver_waiting(self, agent_id: AgentId) -> None:
        """Deliver what waits for an agent, oldest first, for as long as the agent runs."""
        pause = _LOOK_AGAIN_FIRST
        async with self._delivering.setdefault(agent_id, anyio.Lock()):
            while waiting := self._agents.waiting(agent_id):
                agent = self._agents.agent(agent_id)
                record = self._agents.terminal_of(agent_id)
                hub = None if record is None else self._terminals.connected(record.id)
                if record is None or hub is None or agent.state is not AgentState.RUNNING:
                    return
                if hub.has_draft or not await self._is_open(agent, record, hub):
                    await anyio.sleep(pause)
                    # An agent may show a dialog for hours.
                    pause = min(pause * 1.2, _LOOK_AGAIN_AT_LAST)
                    continue
                await self._deliver(agent, hub, waiting[0])
                pause = _LOOK_AGAIN_FIRST

    async def on_running(self, agent_id: AgentId) -> None:
        """Deliver what waits for an agent, as soon as that can be."""
        try:
            await self.deliver_waiting(agent_id)
        except AfxError as error:
            log.warning("Messages for agent %s still wait: %s", agent_id, error.message)
        except Exception:
            log.exception("Messages for agent %s still wait.", agent_id)

    async def _deliver(self, agent: Agent, hub: TerminalHub, message: Message) -> None:
        harness = self._harnesses.of(agent)
        if harness is None:
            typing = hub.deliver([message.text.replace("\n", "\r").encode() + b"\r"], _KEY_PAUSE)
        else:
            typing = hub.deliver(harness.keystrokes(message.text), _KEY_PAUSE, harness.shows_draft)
        # Typed and noted as delivered, both or neither, whatever becomes of the one who sent it.
        with anyio.CancelScope(shield=True):
            await typing
            await self._agents.commit(msgspec.structs.replace(message, delivered_at=time.time()))
        if message.id in self._handled:
            self._handled[message.id].set()

    async def _is_open(self, agent: Agent, record: TerminalRecord, hub: TerminalHub) -> bool:
        """Whether what is typed now reaches the program as a message."""
        harness = self._harnesses.of(agent)
        if harness is None:
            return True
        if not self._is_settled(record, hub):
            return False
        screen: str | None = None
        with anyio.move_on_after(_GLANCE_WITHIN), suppress(AfxError):
            screen = await hub.screen()
        # Where the harness cannot tell, it is enough that the program has come up.
        return await harness.takes_messages(record.process, screen) is not False

    def _is_settled(self, record: TerminalRecord, hub: TerminalHub) -> bool:
        """Whether the program has come up: it wrote something and then paused, or had time enough to."""
        now = time.time()
        known = self._coming_up.get(record.agent_id)
        if known is None or known.terminal != record.id:
            known = _ComingUp(record.id, record.process, record.started_at)
        elif known.process != record.process:
            known = _ComingUp(record.id, record.process, now)
        if not known.is_settled:
            last = hub.facts.last_output_at
            is_quiet = last is not None and last > known.since and now - last >= _SETTLED_AFTER_QUIET
            is_settled = is_quiet or now - known.since >= _SETTLED_AT_LAST
            known = msgspec.structs.replace(known, is_settled=is_settled)
        self._coming_up[record.agent_id] = known
        return known.is_settled


def clean(text: str) -> str:
    """Return a message's text without what a terminal would take for more than text.

    Raises:
        BadInputError: Nothing is left, or too much.
    """
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).rstrip("\n")
    if not text.strip():
        raise BadInputError("The message is empty.", hint="Write some text, or `-` to read it from stdin.")
    if len(text) > LONGEST:
        raise BadInputError(
            f"The message has {len(text)} characters; {LONGEST} is the most.",
            hint="Put it into a file and send the file's path.",
        )
    return text
