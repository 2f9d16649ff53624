"""The machine of a model: a real Tower over a world that is played, and what happens to both.

It runs the Tower's own code on a fake clock, and can end a Tower between any two of its steps, as a crash
does.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio

from afx.api.errors import AfxError, PluginError
from afx.api.harness import HarnessProvider
from afx.api.model import AgentId, ConversationId, Exit, Workspace
from afx.api.process import host_id
from afx.api.storage import Snapshot, Storage
from afx.api.strategy import Cause, ReconnectStrategy
from afx.loader import Plugins
from afx.sections import NoSections, Sections
from afx.settings import Settings
from afx.testing.clock import FakeClock
from afx.testing.memory_strategy import Holder, World
from afx.tower.tower import Tower

from .programs import Program, Programs
from .watched import BreachError, Ledger, Reach, WatchedStorage, WatchedStrategy

Result = TypeVar("Result")

_PATIENCE = 300.0
"""Seconds of the model's time within which whatever a person asks for is answered."""


class ModelPlugins(Plugins):
    """Plugins that bring the harnesses of a model, and nothing else."""

    def __init__(self, harnesses: Sequence[HarnessProvider]) -> None:
        super().__init__((), (), (), NoSections())
        self._by_name = {harness.name: harness for harness in harnesses}

    def harness(self, name: str, settings: Sections | None = None) -> HarnessProvider:
        """Return a harness."""
        del settings
        if name not in self._by_name:
            raise PluginError(f"There is no harness {name!r}.")
        return self._by_name[name]

    def harness_names(self, settings: Sections | None = None) -> list[str]:
        """Return the names of all."""
        del settings
        return sorted(self._by_name)


class Unexpected(logging.Handler):
    """Notes what the Tower logs of exceptions that are no sentences for a person."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(logging.ERROR)
        self._ledger = ledger

    def emit(self, record: logging.LogRecord) -> None:
        """Note it."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, (AfxError, BreachError)):
            self._ledger.breaches.append(f"{record.getMessage()} {type(error).__name__}: {error}")


class Machine:
    """A machine with Towers, one after the other, and what outlives them.

    Attributes:
        tower: The Tower that runs; None where none does.
    """

    def __init__(
        self,
        *,
        storage_factory: Callable[[Path], Storage],
        strategy_factory: Callable[[Path, World], ReconnectStrategy],
        harnesses: Callable[[Programs], Sequence[HarnessProvider]],
        record: Callable[[Program, ConversationId], None],
        grace: float,
    ) -> None:
        self.clock = FakeClock(grace=grace)
        self.ledger = Ledger()
        self.world = World()
        self.world.program = self._play
        self.programs = Programs(self.world, self.ledger)
        self.programs.know(known := harnesses(self.programs))
        self.tower: Tower | None = None
        self._plugins = ModelPlugins(known)
        self._record = record
        self._storage_factory, self._strategy_factory = storage_factory, strategy_factory
        self._directory = Path(tempfile.mkdtemp(prefix="afx-model-")).resolve()
        self.home, self.repository = self._directory / "afx", self._directory / "repository"
        self._life: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._loop = self.clock.new_loop()
        self._log = Unexpected(self.ledger)
        logging.getLogger("afx").addHandler(self._log)
        self._env = self._furnish(known)

    def _furnish(self, harnesses: Sequence[HarnessProvider]) -> Mapping[str, str]:
        """Make the directories, with something on the PATH for every program, and return the environment."""
        programs = self._directory / "programs"
        for path in (self.home, self.repository, programs, self._directory / "home"):
            path.mkdir(mode=0o700)
        for command in (command for harness in harnesses for command in harness.commands):
            (programs / command).touch(mode=0o700)
        return {"PATH": str(programs), "HOME": str(self._directory / "home"), "SHELL": "/bin/sh"}

    # What runs the Tower.

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something to its end, while the Tower does what it does."""
        with self.clock.running():
            task = self._loop.create_task(work)
            self._loop.run_until_complete(asyncio.wait({task}, timeout=_PATIENCE))
        if not task.done():
            task.cancel()
            self._tick(3)
            self.ledger.breach(f"Something that was asked for took longer than {_PATIENCE:g} s.")
        self.check()
        return task.result()

    def check(self) -> None:
        """Fail where a promise was broken, or the Tower ended by itself."""
        if self.ledger.breaches:
            raise BreachError(" ".join(self.ledger.breaches))
        if self._life is not None and self._life.done() and self.tower is not None:
            self._life.result()

    def pass_time(self, seconds: float) -> None:
        """Let the Tower live for so long."""
        self.run(anyio.sleep(seconds))

    def _tick(self, count: int) -> None:
        """Let the Tower's code take so many steps, in which no time passes."""
        with self.clock.running():
            for _ in range(count):
                self._loop.call_soon(self._loop.stop)
                self._loop.run_forever()

    # Towers.

    def boot(self) -> str:
        """Let a Tower boot, and say why it does not; nothing where it does."""
        life = self._begin_life(booted := asyncio.Event())
        self.run(self._until_booted(booted, life))
        return "" if self.tower is not None else self._end_life()

    def crash_while_booting(self, steps: int) -> None:
        """Let a Tower boot, and crash after so many steps of its code."""
        self._begin_life(asyncio.Event())
        self._tick(steps)
        self.crash()

    def stop(self) -> None:
        """Let the Tower stop, as it does when it is told to."""
        self._leave.set()
        self._end_life()

    def crash(self, steps: int = 0, during: Coroutine[Any, Any, None] | None = None) -> None:
        """Let the Tower crash after so many steps of its code, in the middle of something."""
        task = None if during is None else self._loop.create_task(during)
        self._tick(steps)
        self._reach.is_cut = True
        life, self._life, self.tower = self._life, None, None
        for one in (task, life):
            if one is not None:
                one.cancel()
                self.run(_ended(one))

    def _begin_life(self, booted: asyncio.Event) -> asyncio.Task[None]:
        self._reach, self._leave = Reach(), asyncio.Event()
        self._life = self._loop.create_task(self._live(self._reach, booted, self._leave))
        return self._life

    def _end_life(self) -> str:
        life, self._life, self.tower = self._life, None, None
        return "" if life is None else self.run(_ended(life))

    async def _until_booted(self, booted: asyncio.Event, life: asyncio.Task[None]) -> None:
        waiting = asyncio.ensure_future(booted.wait())
        await asyncio.wait({waiting, life}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def _live(self, reach: Reach, booted: asyncio.Event, leave: asyncio.Event) -> None:
        storage = WatchedStorage(self._storage_factory(self.home), self.ledger, reach)
        strategy = WatchedStrategy(self._strategy_factory(self.home, self.world), self.ledger, reach)
        options = {"terminal.strategy": strategy.name, "recover.max_load": 1000}
        settings = Settings.load(None, options, {"AFX_CONFIG": str(self._directory / "config.toml")})
        try:
            await storage.open()
            await strategy.start()
            over = Tower.over(
                self.home, self._plugins, storage, {strategy.name: strategy}, lambda _: settings, self._env
            )
            async with over as tower:
                if not tower.agents.workspaces():
                    await tower.agents.commit(self._workspace())
                self.tower = tower
                booted.set()
                await leave.wait()
        finally:
            # What a process held is let go of, however it ends.
            reach.is_cut = True
            with anyio.CancelScope(shield=True):
                await strategy.aclose()
                await storage.aclose()

    def _workspace(self) -> Workspace:
        return Workspace(host=host_id(), path=str(self.repository), name="repository", added_at=time.time())

    async def _stored(self) -> Snapshot:
        storage = self._storage_factory(self.home)
        await storage.open()
        try:
            return await storage.load(host_id())
        finally:
            await storage.aclose()

    def stored(self) -> Snapshot:
        """Return what is stored."""
        return self.run(self._stored())

    # The world.

    def holder_of(self, agent_id: AgentId) -> Holder | None:
        """Return the latest holder of an agent's."""
        mine = [one for one in self.world.holders.values() if one.spec.agent_id == agent_id]
        return mine[-1] if mine else None

    def change(self, happens: Callable[[], None]) -> None:
        """Let something happen in the world. The Tower has not noticed yet."""

        async def happen() -> None:
            happens()

        with self.clock.running():
            self._loop.run_until_complete(happen())

    def end_program(self, holder: Holder, code: int | None, signal: int | None) -> None:
        """Let a terminal's program end."""
        if holder.exit is None:
            self.change(lambda: holder.end(Exit(code=code, signal=signal, at=time.time())))

    def kill_holder(self, holder: Holder, cause: Cause) -> None:
        """Let a holder be gone, and its program with it."""
        self.ledger.living.pop(holder.spec.id, None)
        self.change(lambda: self.world.kill(holder.spec.id, cause))

    def reboot(self) -> None:
        """Let the machine go down and come up again."""
        if self._life is not None:
            self.crash()
        self.ledger.living.clear()
        self.programs.by_hand.clear()
        self.change(self.world.reboot)

    def _play(self, holder: Holder, data: bytes) -> None:
        """Be the program of a terminal: begin, and take each line that is typed for a turn."""
        if not data:
            code = self.programs.begin(holder)
            holder.write(b"ready\r\n")
            if code is not None:
                holder.end(Exit(code=code, at=time.time()))
        elif b"\r" in data:
            self.say_something(holder)

    def say_something(self, holder: Holder) -> None:
        """Let there be a turn of the conversation in a terminal."""
        program = self.programs.living().get(holder.spec.id)
        if program is None or program.harness is None:
            return
        if (session := program.harness.session) is not None:
            conversation = program.conversation or session.mint()
            self.programs.turn(program, conversation)
            self._record(program, conversation)
        holder.write(b"said\r\n")

    def close(self) -> None:
        """Leave nothing behind."""
        try:
            if self._life is not None:
                self._reach.is_cut = True
                self._life.cancel()
                self.ledger.breaches.clear()
                self._end_life()
        finally:
            logging.getLogger("afx").removeHandler(self._log)
            self._loop.close()
            shutil.rmtree(self._directory, ignore_errors=True)


async def _ended(task: asyncio.Task[None]) -> str:
    """Wait for a task's end, and return what it says of it."""
    await asyncio.wait({task})
    error = None if task.cancelled() else task.exception()
    if error is not None and not _is_expected(error):
        raise error
    return "" if error is None else str(error)


def _is_expected(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_expected, error.exceptions))
    return isinstance(error, (AfxError, BreachError, asyncio.CancelledError))
