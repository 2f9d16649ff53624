"""The reconnect strategy ``tmux``: each terminal is the one pane of a session, and tmux holds it.

One question to tmux tells which of all terminals survived. The output of each pane goes to a recorder beside
it, which keeps the offsets of the output the same while Towers come and go; see `recorder`.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import anyio
import msgspec

from afx.plugin import (
    Command,
    Connection,
    ConnectionLostError,
    Life,
    Orphan,
    ReconnectStrategy,
    Spawned,
    SpawnError,
    StrategyContext,
    Survival,
    TerminalId,
    TerminalRecord,
    TerminalSpec,
    UnreachableError,
    identify,
    send_signal,
)
from afx_holding import frames
from afx_holding.screen_modes import RESET
from afx_holding.tower.places import Place, is_terminal_id

from . import panes
from .connection import TmuxConnection, settle_all
from .control import ControlClient
from .launching import Launching
from .lookout import Lookout
from .panes import Pane
from .session import SessionMaker
from .tmux import Tmux, TmuxError, TmuxSilentError

_ASK_WITHIN = 5.0
_ANSWER_WITHIN = 3.0
_SPAWN_WITHIN = 15.0
_GRACE = 3.0
_PAUSE = 0.02
_MOST_LOOKS = 50
_MOST_LOOKS_AT_THE_LIVING = 10
_HELLO = frames.control(frames.HELLO, version=frames.VERSION, client="tower")
_TERMINATE = frames.control(frames.TERMINATE)


class TmuxStrategy(ReconnectStrategy):
    """Terminals that are sessions of a tmux server.

    Settings: ``program`` and ``socket``; see the page on tmux in the reference. `BadInputError` is raised
    where one of them is something else.
    """

    name = "tmux"

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self._tmux = Tmux.of(context.settings, context.directory)
        self._home = str(context.directory)
        self._place = Place(context.directory)
        self._maker = SessionMaker(self._tmux, context.directory)
        self._control = ControlClient(self._tmux)
        self._lookout = Lookout(self._tmux, self._home)
        self._connections: dict[TerminalId, TmuxConnection] = {}
        self._spawning: set[TerminalId] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: set[TmuxConnection] = set()
        self._is_usable = False
        self._is_silent = False

    async def aclose(self) -> None:
        """Let go of everything. The sessions live on, and so do their recorders."""
        for task in tuple(self._tasks):
            task.cancel()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._control.close()
        self._lookout.vigil.end()

    # Starting

    async def spawn(self, spec: TerminalSpec) -> Spawned:
        """Make a session whose one pane runs the command, and return when it does."""
        if not is_terminal_id(spec.id):
            raise SpawnError(f"{spec.id!r} cannot be the id of a terminal.")
        if spec.id in self._connections or not self._place.refuses(spec.id):
            raise SpawnError(f"There is a terminal {spec.id} that is alive.")
        self._spawning.add(spec.id)
        try:
            if not self._is_usable:
                await self._tmux.check()
                self._is_usable = True
            return await self._spawn(spec)
        except TmuxError as error:
            raise SpawnError(error.message, hint=error.hint) from error
        finally:
            self._spawning.discard(spec.id)

    async def _spawn(self, spec: TerminalSpec) -> Spawned:
        with Launching(self.context.directory, spec.id, spec.command) as launching:
            pane = await self._maker.make(spec, launching.command_line, _ASK_WITHIN)
            try:
                await launching.until_running(_SPAWN_WITHIN)
                connection = await self._connect(pane, _SPAWN_WITHIN)
            except BaseException as error:
                with anyio.CancelScope(shield=True):
                    await self._undo(pane)
                if isinstance(error, ConnectionLostError):
                    raise SpawnError(error.message) from error
                raise
        server = identify(pane.server)
        if server is None:
            raise SpawnError(
                "The tmux server ended as soon as it was asked for a session.",
                hint="`afx doctor` looks at tmux.",
            )
        return Spawned(connection, msgspec.to_builtins(pane.handle(self._tmux.socket, server)))

    async def _undo(self, pane: Pane) -> None:
        """Leave nothing behind of a terminal that could not be started."""
        with suppress(TmuxError):
            await self._tmux.ask(["kill-session", "-t", pane.session], deadline=_ASK_WITHIN)
        with suppress(ConnectionLostError):
            await (await self._connect(pane, _ANSWER_WITHIN)).end_recorder()
        self._let_go(pane.terminal)

    async def _connect(self, pane: Pane, deadline: float) -> TmuxConnection:
        """Connect to the recorder of a pane, which may be about to start.

        Raises:
            ConnectionLostError: It did not answer in time.
        """
        connection: TmuxConnection | None = None
        with anyio.move_on_after(deadline):
            while connection is None:
                try:
                    connection = self._open(pane)
                except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                    await anyio.sleep(_PAUSE)
                except (OSError, UnreachableError) as error:
                    raise ConnectionLostError(f"Its recorder cannot be reached: {error}.") from error
            await connection.settle(deadline)
        if connection is None or not connection.usable:
            self._drop(pane.terminal)
            raise ConnectionLostError("The terminal's recorder does not answer.")
        connection.await_end()
        return connection

    def _open(self, pane: Pane) -> TmuxConnection:
        connection = TmuxConnection(self._place.connect(pane.terminal), self._place, pane, self._control)
        connection.on_ended = self._on_ended
        self._connections[pane.terminal] = connection
        self._lookout.vigil.keep(pane.server)
        return connection

    async def respawn(self, connection: Connection, command: Command) -> None:
        """Start a new program in the same pane."""
        if not isinstance(connection, TmuxConnection):
            raise SpawnError("This terminal belongs to another reconnect strategy.")
        ended = connection.facts.exit
        if ended is None:
            raise SpawnError("The terminal's program still runs.", hint="Stop it first.")
        with Launching(self.context.directory, connection.terminal_id, command) as launching:
            # tmux empties the screen; whoever looks by way of afx sees that before the first new output.
            await connection.show(RESET)
            try:
                now = await self._maker.respawn(
                    connection.pane, launching.command_line, _ASK_WITHIN, piped=connection.piped
                )
            except TmuxError as error:
                raise SpawnError(error.message, hint=error.hint) from error
            await connection.tell_respawned(now)
            try:
                await launching.until_running(_SPAWN_WITHIN)
            except SpawnError:
                await connection.tell_end(ended)
                raise
            connection.await_end()

    # Finding again

    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        """Ask tmux once for all its panes, and greet the recorders of those that are ours, all at once."""
        if not records:
            return {}
        until = anyio.current_time() + deadline
        try:
            seen = await self._lookout.look(deadline)
        except TmuxError as error:
            return await self._lookout.judge_unseen(records, error)
        ours = self._lookout.ours(seen)
        asked: list[TmuxConnection] = []
        survivals: dict[TerminalId, Survival] = {}
        for record in records:
            pane = ours.get(record.id)
            if pane is None:
                survivals[record.id] = self._lookout.judge_missing(record, seen)
                self._drop(record.id)
                continue
            survivals[record.id] = Survival(Life.ALIVE)
            with suppress(OSError, UnreachableError):
                connection = self._known(record.id) or self._open(pane)
                connection.pane = pane
                asked.append(connection)
        await settle_all(asked, max(0.0, until - anyio.current_time()))
        for connection in asked:
            if connection.pending:
                # It is left open: the recorder answers on it when it can, and is not asked a second time.
                survivals[connection.terminal_id] = Survival(
                    Life.NO_ANSWER,
                    "Its tmux session is there. The recorder of its output does not answer.",
                )
        return survivals

    def _known(self, terminal_id: TerminalId) -> TmuxConnection | None:
        known = self._connections.get(terminal_id)
        if known is not None and (known.usable or known.pending):
            return known
        self._drop(terminal_id)
        return None

    def _drop(self, terminal_id: TerminalId) -> None:
        connection = self._connections.pop(terminal_id, None)
        if connection is not None:
            connection.close()

    def _let_go(self, terminal_id: TerminalId) -> None:
        """Leave nothing of a terminal that is gone: its recorder ends."""
        self._drop(terminal_id)
        with suppress(OSError, UnreachableError), self._place.connect(terminal_id) as recorder:
            recorder.send(_HELLO + _TERMINATE)  # Its first bytes: there is room for so few.
        self._place.remove(terminal_id)
        if not self._connections:
            self._lookout.vigil.end()

    async def reconnect(self, record: TerminalRecord) -> Connection:
        """Hand out the connection that the last survey opened; lay the pipe anew where nobody records."""
        known = self._known(record.id)
        if known is not None:
            await known.settle(_ANSWER_WITHIN)
        if known is None or not known.usable or not known.records:
            known = await self._record_again(record)
        if known.pane.dead and known.facts.exit is None:
            await self._learn_end(known)
        elif known.facts.exit is None:
            known.await_end()
        return known

    async def _record_again(self, record: TerminalRecord) -> TmuxConnection:
        """Begin a new recording of a pane, with what it shows now.

        Raises:
            ConnectionLostError: It cannot be done.
        """
        self._drop(record.id)
        try:
            pane = await self._lookout.find(record.id, _ASK_WITHIN)
            if pane is None:
                raise ConnectionLostError("Its tmux session is not there any more.")
            with suppress(OSError, UnreachableError):
                old = self._open(pane)
                await old.settle(_ANSWER_WITHIN)
                if old.pending:
                    raise ConnectionLostError("The recorder of its output does not answer.")
                if old.usable and old.records:
                    return old
                await old.end_recorder()
            self._drop(record.id)
            shown = await self._maker.record_again(pane, _ASK_WITHIN)
        except TmuxError as error:
            raise ConnectionLostError(error.message) from error
        connection = await self._connect(pane, _SPAWN_WITHIN)
        await connection.show(shown)
        return connection

    def _on_ended(self, connection: TmuxConnection) -> None:
        if connection in self._asking:
            return
        self._asking.add(connection)
        task = asyncio.get_running_loop().create_task(self._find_end(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find_end(self, connection: TmuxConnection) -> None:
        try:
            await self._learn_end(connection)
        except ConnectionLostError as lost:
            connection.on_lost(lost.message)
        finally:
            self._asking.discard(connection)

    async def _learn_end(self, connection: TmuxConnection) -> None:
        """Ask tmux how a program ended that has, or whose output has, and tell.

        Raises:
            ConnectionLostError: The pane is gone, its output goes elsewhere, or tmux or the recorder does not
                answer.
        """
        for attempt in itertools.count():
            try:
                pane = await self._lookout.find(connection.terminal_id, _ASK_WITHIN)
            except TmuxError as error:
                raise ConnectionLostError(error.message) from error
            if pane is None:
                raise ConnectionLostError("Its tmux session is not there any more.")
            if pane.tells_end or (pane.dead and attempt >= _MOST_LOOKS):
                await connection.tell_end(pane.exit(time.time()))
                return
            if not connection.piped and not pane.dead and attempt >= _MOST_LOOKS_AT_THE_LIVING:
                raise ConnectionLostError("Somebody laid another pipe to the pane.")
            if connection.piped and not pane.dead and pane.pid != connection.pane.pid:
                # A person had tmux start it again.
                await connection.tell_respawned(pane)
                connection.await_end()
                return
            server = identify(pane.server)
            if attempt and server is not None:
                # A library of tmux's now and then swallows the signal that tells of a program's end. It means
                # nothing but "look whether one has ended", so it is sent once more.
                send_signal(server, signal.SIGCHLD)
            await anyio.sleep(_PAUSE)

    async def orphans(self, known: Sequence[TerminalRecord]) -> Sequence[Orphan]:
        """Return our terminals that no record names. Nothing is asked where no tmux server runs."""
        self._is_silent = True  # Until it has answered; whoever asks may not wait for that.
        try:
            seen = await self._lookout.look(_ASK_WITHIN)
        except TmuxSilentError:
            return []
        except TmuxError:
            self._is_silent = False
            return []
        self._is_silent = False
        named = {record.id for record in known} | self._connections.keys() | self._spawning
        return [
            Orphan(
                terminal_id=pane.terminal or pane.unclaimed_id,
                agent_id=pane.agent,
                strategy=self.name,
                handle=msgspec.to_builtins(pane.handle(self._tmux.socket, server)),
                started_at=pane.created,
                note=f"tmux session {pane.name} in {pane.path}",
                name=pane.name,
                cwd=pane.path,
            )
            for pane in panes.offered(seen.panes, self._home, named)
            if (server := identify(pane.server)) is not None
        ]

    @property
    def expects_orphans(self) -> bool:
        """Whether there is a tmux server that did not answer."""
        return self._is_silent

    async def adopt(self, record: TerminalRecord) -> Connection:
        """Note on an orphan's pane whose it is, and record it from now on."""
        handle = panes.read_handle(record)
        if handle is None or not is_terminal_id(record.id):
            raise ConnectionLostError("It does not say where it is.")
        try:
            found = {pane.pane: pane for pane in (await self._lookout.look(_ASK_WITHIN)).panes}
            pane = found.get(handle.pane)
            if pane is None or record.id not in {pane.terminal, pane.unclaimed_id}:
                raise ConnectionLostError("Its tmux session is not there any more.")
            await self._maker.claim(pane, record.id, record.agent_id, _ASK_WITHIN)
        except TmuxError as error:
            raise ConnectionLostError(error.message) from error
        return await self.reconnect(record)

    # Ending

    async def terminate(self, record: TerminalRecord) -> None:
        """Hang up on the program, and kill the session, and return when both are gone."""
        survival: Survival
        pane: Pane | None = None
        try:
            seen = await self._lookout.look(_ASK_WITHIN)
            pane = self._lookout.ours(seen).get(record.id)
            survival = self._lookout.judge_missing(record, seen)
        except TmuxError as error:
            survival = (await self._lookout.judge_unseen([record], error))[record.id]
        if pane is None and survival.life is Life.DEAD:
            await self.forget(record)
            return
        if pane is None:
            raise UnreachableError(survival.reason, hint="Try again when it answers.")
        connection = self._connections.get(record.id)
        await self._maker.end(pane, _GRACE)
        if connection is not None:
            await connection.end_recorder()
        self._let_go(record.id)

    async def forget(self, record: TerminalRecord) -> None:
        """End the recorder of a terminal that was found dead, and remove its socket."""
        if is_terminal_id(record.id):
            self._let_go(record.id)
