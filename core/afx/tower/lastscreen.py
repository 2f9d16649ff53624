"""The last screen of each agent, kept for when its terminal is gone and nobody else has it any more.

What a terminal put out last is written beside the agent's other files: when its process ends, before the
Tower ends the terminal itself, and now and then while it writes, since a holder that dies takes its ring with
it. It is kept as it was put out, from a safe cut on and without queries, and is shown as output is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import anyio
import anyio.to_thread
import msgspec

from afx.api.errors import AfxError
from afx.api.model import AgentId, Position, Size

from .agents import Agents
from .hub import TerminalHub

log = logging.getLogger("afx.lastscreen")

MOST = 256 * 1024
"""How many bytes of output are kept of one terminal, at most."""
WHILE_RUNNING = 64 * 1024
EVERY = 15.0
_WITHIN = 2.0
_LONGEST = 2 * MOST
_AT_ONCE = 4
_BREATH = 0.02


class LastScreen(msgspec.Struct, frozen=True):
    """What a terminal showed last: the `output` that makes that of an empty terminal of its size.

    Attributes:
        at: When it was kept.
    """

    size: Size
    at: float
    output: bytes


class _Head(msgspec.Struct, frozen=True):
    """The first line of a file, in JSON; the output follows."""

    size: Size
    at: float


class LastScreens:
    """Keeps the last screens of a state directory's agents. What cannot be kept is done without."""

    def __init__(
        self, home: Path, agents: Agents, connected: Callable[[AgentId], TerminalHub | None]
    ) -> None:
        self._directory = home / "agents"
        self._agents = agents
        self._connected = connected
        self._kept: dict[AgentId, Position] = {}
        self._turns = anyio.CapacityLimiter(_AT_ONCE)

    async def of(self, agent_id: AgentId) -> LastScreen | None:
        """Return the last screen of an agent, or None where none was kept."""
        return await anyio.to_thread.run_sync(_read, self._path(agent_id))

    def forget(self, agent_id: AgentId) -> None:
        """Forget about an agent that was removed; its directory goes with it."""
        self._kept.pop(agent_id, None)

    async def run(self) -> None:
        """Keep the screens of those that write, now and then, as long as the Tower runs."""
        while True:
            await anyio.sleep(EVERY)
            for agent in list(self._agents.all()):
                hub = self._connected(agent.id)
                if hub is not None and hub.facts.exit is None and hub.facts.end != self._kept.get(agent.id):
                    await self.keep(agent.id, WHILE_RUNNING)
                    await anyio.sleep(_BREATH)

    async def keep(self, agent_id: AgentId, most: int = MOST) -> None:
        """Keep what an agent's terminal shows now."""
        hub = self._connected(agent_id)
        if hub is None:
            return
        end = hub.facts.end
        try:
            with anyio.move_on_after(_WITHIN):
                async with self._turns:
                    kept = await _seen(hub, most)
                    await anyio.to_thread.run_sync(_write, self._path(agent_id), kept)
                    self._kept[agent_id] = end
        except (AfxError, OSError) as error:
            log.info("The last screen of agent %s could not be kept: %s", agent_id, error)
        except Exception:
            # A strategy's mistake costs a screen, and nobody anything else.
            log.exception("The last screen of agent %s could not be kept.", agent_id)
        if not self._agents.present([agent_id]):
            # It was removed meanwhile, and its directory must not come back.
            with suppress(OSError):
                self._path(agent_id).unlink()
                self._path(agent_id).parent.rmdir()

    def _path(self, agent_id: AgentId) -> Path:
        return self._directory / agent_id / "screen"


async def _seen(hub: TerminalHub, most: int) -> LastScreen:
    output = await hub.connection.glance(most)
    if len(output) > _LONGEST:
        raise AfxError("Its strategy gave more than was asked for.")
    return LastScreen(hub.facts.size, time.time(), output)


def _write(path: Path, kept: LastScreen) -> None:
    """Write a file of mode 0600 in a directory of mode 0700, as a whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    head = msgspec.json.encode(_Head(kept.size, kept.at))
    with NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        try:
            file.write(head + b"\n" + kept.output)
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _read(path: Path) -> LastScreen | None:
    try:
        with path.open("rb") as file:
            head = msgspec.json.decode(file.readline(1000), type=_Head)
            return LastScreen(head.size, head.at, file.read(_LONGEST))
    except (OSError, msgspec.DecodeError):
        return None
