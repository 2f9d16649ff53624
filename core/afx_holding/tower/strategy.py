"""A reconnect strategy over holders: starts them, finds out which survived, and connects to them.

There is at most one connection as Tower to a holder, and it is kept here from the moment it is opened: a
survey opens it, the next survey waits on the same one, and `reconnect` hands it out. One to a stranger that
does not answer is kept until it does.
"""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import anyio
import msgspec

from afx.plugin import (
    RELEASE,
    BadInputError,
    Command,
    Connection,
    ConnectionLostError,
    Life,
    Orphan,
    ProcessIdentity,
    ReconnectStrategy,
    Spawned,
    SpawnError,
    StrategyContext,
    Survival,
    TerminalId,
    TerminalRecord,
    TerminalSpec,
    UnreachableError,
    is_alive,
)
from afx_holding import frames

from .connection import HolderConnection
from .places import Place, is_terminal_id, socket_name
from .start import check_installed, start_holder

_ANSWER_WITHIN = 3.0
_SPAWN_WITHIN = 15.0
_SILENCE = 0.8
_OPEN_FILES = 65_536
_HELLO = frames.control(frames.HELLO, version=frames.VERSION, client="tower")


class HolderStrategy(ReconnectStrategy):
    """Terminals held by processes of our own, whose sockets lie in the strategy's own directory.

    A subclass says what the terminals are: ``terminal`` names a class of `afx_holding.terminal.Terminal` by
    its import path. Each holder is a process that is started with the file of that class and with nothing
    that is installed, `afx_holding` excepted.

    Settings: ``husk_after``, ``unnoticed_after`` and ``check_every``, in seconds; see the page on shellper in
    the reference. `BadInputError` is raised where one of them is something else.
    """

    terminal: ClassVar[str]
    """Such as ``afx_reconnect_foo.holder:FooTerminal``."""
    grace: ClassVar[float] = 3.0
    """How many seconds a program has to end when it is asked to."""

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self._times = _read_times(self.name, context.settings)
        self._place = Place(context.directory)
        self._connections: dict[TerminalId, HolderConnection] = {}
        self._strangers: dict[TerminalId, HolderConnection] = {}
        self._spawning: set[TerminalId] = set()
        self._nofile = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def newborn(self) -> socket.socket:
        """Start a holder that waits to be told what it holds, and return a socket to it.

        Raises:
            OSError: No process can be started.
        """
        return await start_holder(self.terminal)

    async def start(self) -> None:
        """Let this process have a descriptor for each terminal. Programs in terminals keep the old limit."""
        self._nofile = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    async def aclose(self) -> None:
        """Close all connections. The holders live on."""
        for connection in (*self._connections.values(), *self._strangers.values()):
            connection.close()
        self._connections.clear()
        self._strangers.clear()

    # Starting

    async def spawn(self, spec: TerminalSpec) -> Spawned:
        """Start a holder, tell it what to hold, and return when the program runs."""
        connection = await self.hold(spec)
        return Spawned(connection, self._handle(connection))

    async def hold(self, spec: TerminalSpec) -> HolderConnection:
        """Start a holder of a terminal, and connect to it.

        Raises:
            SpawnError: It did not come up, or could not start the program.
        """
        if not is_terminal_id(spec.id):
            raise SpawnError(f"{spec.id!r} cannot be the id of a terminal.")
        launch = frames.control(
            frames.LAUNCH,
            directory=str(self.context.directory),
            terminal_id=spec.id,
            agent_id=spec.agent_id,
            label=spec.label,
            cols=spec.size.cols,
            rows=spec.size.rows,
            scrollback=spec.scrollback,
            release=RELEASE,
            **self._program(spec.command),
            **self._times,
        )
        _check_size(launch)
        self._spawning.add(spec.id)
        try:
            return await self._launch(spec.id, launch)
        finally:
            self._spawning.discard(spec.id)

    async def _launch(self, terminal_id: TerminalId, launch: bytes) -> HolderConnection:
        try:
            newborn = await self.newborn()
        except OSError as error:
            check_installed()
            raise SpawnError(f"No process can be started: {error.strerror}.") from error
        connection = HolderConnection(newborn, self._place, terminal_id, launch)
        try:
            await connection.settle(_SPAWN_WITHIN)
        finally:
            if not connection.usable:
                # Should it come up later after all, it reads this next, and ends.
                with contextlib.suppress(ConnectionLostError):
                    connection.request_end(0)
                connection.close()
        if connection.refusal is not None:
            raise SpawnError(connection.refusal.message, hint=connection.refusal.hint)
        if not connection.usable:
            check_installed()
            raise SpawnError("The process that was to hold the terminal did not come up.")
        self._connections[terminal_id] = connection
        return connection

    def _program(self, command: Command) -> dict[str, Any]:
        return {"argv": command.argv, "env": command.env, "cwd": command.cwd, "nofile": self._nofile}

    def _handle(self, connection: HolderConnection) -> dict[str, Any]:
        holder = connection.welcome.holder if connection.welcome is not None else None
        return {"socket": socket_name(connection.terminal_id), "holder": msgspec.to_builtins(holder)}

    async def respawn(self, connection: Connection, command: Command) -> None:
        """Start a new program in the same PTY."""
        if not isinstance(connection, HolderConnection):
            raise SpawnError("This terminal belongs to another reconnect strategy.")
        request = frames.control(frames.SPAWN, **self._program(command))
        _check_size(request)
        await connection.respawn(request)

    # Finding again

    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        """Greet all holders at once, and judge those that do not answer."""
        found: dict[TerminalId, Survival] = {}
        asked: list[tuple[TerminalRecord, HolderConnection]] = []
        for record in records:
            reached = self._reach(record)
            if isinstance(reached, Survival):
                found[record.id] = reached
            else:
                asked.append((record, reached))
        await _settle_all([connection for _, connection in asked], deadline)
        for record, connection in asked:
            found[record.id] = self._judge(record, connection)
        return found

    def _reach(self, record: TerminalRecord) -> HolderConnection | Survival:
        """Return the connection to a record's holder, opened now unless it is open; else what that proves."""
        known = self._connections.get(record.id)
        if known is not None and (known.usable or known.pending):
            return known
        self._drop(record.id)
        if record.handle.get("socket") != socket_name(record.id) or not is_terminal_id(record.id):
            return Survival(Life.NO_ANSWER, "Its record does not say where its holder is.")
        try:
            return self._open(record.id)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            return self._judge_absent(record, error)
        except BlockingIOError:
            return Survival(Life.NO_ANSWER, "Its holder lets nobody in at the moment.")
        except (OSError, UnreachableError) as error:
            return Survival(Life.NO_ANSWER, f"Its holder cannot be reached: {error}.")

    def _open(self, terminal_id: TerminalId) -> HolderConnection:
        self._connections[terminal_id] = connection = self._greet(terminal_id)
        return connection

    def _greet(self, terminal_id: TerminalId) -> HolderConnection:
        return HolderConnection(self._place.connect(terminal_id), self._place, terminal_id, _HELLO)

    def _judge(self, record: TerminalRecord, connection: HolderConnection) -> Survival:
        if connection.pending:
            # It is left open: the holder answers on it when it can, and is not asked a second time.
            return Survival(Life.NO_ANSWER, "Its holder is there and does not answer.")
        if connection.welcome is None or not connection.usable:
            self._drop(record.id)
            if self._place.refuses(record.id):
                return self._judge_absent(record, ConnectionRefusedError())
            return Survival(
                Life.NO_ANSWER, f"Its holder let go of the connection. {connection.lost or ''}".strip()
            )
        if connection.welcome.terminal_id != record.id:
            self._drop(record.id)
            other = connection.welcome.terminal_id
            return Survival(Life.NO_ANSWER, f"Another terminal, {other}, answers in its place.")
        return Survival(Life.ALIVE)

    def _judge_absent(self, record: TerminalRecord, error: OSError) -> Survival:
        """Judge a terminal that nobody answers for: it is dead if its holder is proven not to run."""
        missing = isinstance(error, FileNotFoundError)
        what = "has no socket any more" if missing else "refuses connections"
        holder = _holder_of(record)
        if holder is not None and is_alive(holder):
            return Survival(Life.NO_ANSWER, f"Its holder (process {holder.pid}) runs but {what}.")
        end = self._place.note_of_end(record.id)
        why = "its program had ended" if end is not None else "its holder is gone"
        return Survival(Life.DEAD, f"The terminal did not survive: {why}.", end)

    async def reconnect(self, record: TerminalRecord) -> Connection:
        """Hand out the connection that the last survey opened, or open one."""
        reached = self._reach(record)
        if isinstance(reached, Survival):
            raise ConnectionLostError(reached.reason)
        await reached.settle(_ANSWER_WITHIN)
        judged = self._judge(record, reached)
        if judged.life is not Life.ALIVE:
            raise ConnectionLostError(judged.reason)
        return reached

    def _drop(self, terminal_id: TerminalId) -> None:
        connection = self._connections.pop(terminal_id, None)
        if connection is not None:
            connection.close()

    async def orphans(self, known: Sequence[TerminalRecord]) -> Sequence[Orphan]:
        """Ask every socket in our directory that nobody speaks for who it is."""
        spoken_for = {record.id for record in known} | self._connections.keys() | self._spawning
        present = set(self._place.terminal_ids()) - spoken_for
        for terminal_id in self._strangers.keys() - present:
            self._strangers.pop(terminal_id).close()
        for terminal_id in present - self._strangers.keys():
            try:
                self._strangers[terminal_id] = self._greet(terminal_id)
            except ConnectionRefusedError:
                self._place.remove_stale(terminal_id)
            except (OSError, UnreachableError):
                continue
        strangers = list(self._strangers.values())
        await _settle_all(strangers, _ANSWER_WITHIN)
        answered = [stranger for stranger in strangers if not stranger.pending]
        for stranger in answered:
            stranger.close()
            self._strangers.pop(stranger.terminal_id, None)
        return [orphan for orphan in map(self._orphan, answered) if orphan is not None]

    @property
    def expects_orphans(self) -> bool:
        """Whether a stranger was greeted that has not answered yet."""
        return bool(self._strangers)

    def _orphan(self, connection: HolderConnection) -> Orphan | None:
        welcome = connection.welcome
        if welcome is None or welcome.terminal_id != connection.terminal_id:
            return None
        return Orphan(
            terminal_id=welcome.terminal_id,
            agent_id=welcome.agent_id,
            strategy=self.name,
            handle=self._handle(connection),
            started_at=welcome.started_at,
            note=f"{welcome.label}, held by process {welcome.pid}",
            name=welcome.label,
            cwd="" if welcome.child is None else _working_directory(welcome.child.pid),
        )

    # Ending

    async def terminate(self, record: TerminalRecord) -> None:
        """Ask the holder to end its program and itself, and return when both are gone."""
        known = self._connections.get(record.id)
        if known is not None and known.stuck:
            # Its program does not read, so what was typed is in the way. Another connection replaces this.
            self._drop(record.id)
        reached = self._reach(record)
        if isinstance(reached, Survival):
            if reached.life is Life.DEAD:
                await self.forget(record)
                return
            raise UnreachableError(reached.reason, hint="Try again when it answers.")
        await reached.settle(_ANSWER_WITHIN)
        judged = self._judge(record, reached)
        if judged.life is Life.NO_ANSWER:
            raise UnreachableError(judged.reason, hint="Try again when it answers.")
        if judged.life is Life.ALIVE:
            with contextlib.suppress(ConnectionLostError):
                reached.request_end(self.grace)
            await reached.until_lost(self.grace + 2)
            if reached.lost is None:
                raise UnreachableError("The terminal's program cannot be ended.", hint="Look at it with ps.")
            await _until_gone(reached)
        self._drop(record.id)
        await self.forget(record)

    async def forget(self, record: TerminalRecord) -> None:
        """Remove the socket, and the note, of a holder that is dead. Whatever answers is spared."""
        holder = _holder_of(record)
        if not is_terminal_id(record.id) or (holder is not None and is_alive(holder)):
            return
        self._drop(record.id)
        self._place.remove(record.id)


def _read_times(strategy: str, settings: Mapping[str, Any]) -> dict[str, float]:
    times = {
        name: settings[name] for name in ("husk_after", "unnoticed_after", "check_every") if name in settings
    }
    for name, value in times.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            raise BadInputError(f"strategy.{strategy}.{name} is {value!r}.", hint="Give a number of seconds.")
    return times


def _check_size(frame: bytes) -> None:
    if len(frame) > frames.MAX_PAYLOAD:
        raise SpawnError("The command and its environment are over 1 MiB.", hint="Put long texts into files.")


def _holder_of(record: TerminalRecord) -> ProcessIdentity | None:
    with contextlib.suppress(msgspec.ValidationError):
        return msgspec.convert(record.handle.get("holder"), ProcessIdentity | None)
    return None


async def _settle_all(connections: Sequence[HolderConnection], deadline: float) -> None:
    """Wait until each has been answered or will not be, but at most `deadline` seconds for all.

    Where others have answered, those that stay silent much longer are most likely stopped. They are not
    waited for to the last moment: nothing is decided about them, and they are asked again.
    """
    waiting = {connection.terminal_id for connection in connections if not connection.settled}
    done = anyio.Event()
    end = anyio.current_time() + deadline
    scope = anyio.CancelScope(deadline=end)

    def let_wait() -> None:
        scope.deadline = min(end, anyio.current_time() + _SILENCE)

    for connection in connections:
        if connection.terminal_id in waiting:

            def settled(terminal_id: TerminalId = connection.terminal_id) -> None:
                waiting.discard(terminal_id)
                let_wait()
                if not waiting:
                    done.set()

            connection.on_settled.append(settled)
    if waiting:
        with scope:
            await done.wait()


async def _until_gone(connection: HolderConnection) -> None:
    """Wait for the moment between the end of a holder's connections and its own."""
    holder = connection.welcome.holder if connection.welcome is not None else None
    with anyio.move_on_after(2):
        # No event tells of the end of a process that is nobody's child here, on every system.
        while holder is not None and is_alive(holder):  # noqa: ASYNC110
            await anyio.sleep(0.001)


def _working_directory(pid: int) -> str:
    """Return the directory that a process works in; empty where the system does not tell (Linux does)."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
