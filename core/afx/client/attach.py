"""A terminal of the Tower in the terminal of a person: every byte once, in order, and nothing but the bytes.

An `Attachment` follows one agent. It outlives the Tower it is connected to: it remembers how far it got,
calls again until a Tower answers, and asks for exactly the rest. Where the agent's terminal was replaced it
goes on with the successor, and where its program ended it stays for the next one. What the near end is like
is `afx.client.console`'s business.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import signal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from afx.api.errors import AfxError

from .console import Console, ProcessConsole
from .display import Display
from .http import TowerAddress, TowerClient, TowerDownError
from .keys import PATIENCE, DetachKeys, is_report
from .successor import successor

REPLAY = 512 * 1024
"""How many of the last bytes are asked for where the output is a person's screen."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 1.0
_QUIET = 1.0
_GIVE_UP = 5.0
_ANSWER_GRACE = 0.3
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())
_log.propagate = False


class Target(NamedTuple):
    """The agent whose terminal is to be shown.

    Attributes:
        agent_id: Its id.
        label: What it is called, such as ``builder/fix``.
        terminal_id: Its terminal.
        position: Where the terminal's output ended when the state was read, as ``EPOCH:OFFSET``; empty where
            that is not known.
    """

    agent_id: str
    label: str
    terminal_id: str
    position: str = ""


class Ending(NamedTuple):
    """How an attachment ended.

    Attributes:
        manner: ``detached`` by its keys or the end of its terminal, ``exited`` with the program, or
            ``signalled``.
        code: The program's exit code.
        signal: The signal that ended the program, or this attachment.
        over: Whether the program had ended by then.
    """

    manner: str
    code: int | None = None
    signal: int | None = None
    over: bool = False


async def attach(home: Path, target: Target, keys: DetachKeys, *, read_only: bool = False) -> Ending:
    """Attach this process's own terminal, and give it back as it was.

    Raises:
        AfxError: The agent has no terminal any more, or the Tower does not let us in.
        ConsoleClosedError: Nobody reads the output any more.
    """
    loop = asyncio.get_running_loop()
    received: list[int] = []
    with ProcessConsole() as console:
        task = asyncio.create_task(Attachment(home, target, console, keys, read_only=read_only).run())

        def end(number: int) -> None:
            received.append(number)
            task.cancel()

        loop.add_signal_handler(signal.SIGWINCH, console.resized.set)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, end, number)
        try:
            return await task
        except asyncio.CancelledError:
            if not received:
                raise
            return Ending("signalled", signal=received[0])


class Attachment:
    """One agent's terminal, shown on one console.

    Args:
        home: The state directory.
        target: The agent.
        console: Where it is shown.
        keys: What leaves it.
        read_only: Whether neither keys nor the size are sent.
        stay: Whether it goes on after the end of the program, for another one may follow in the terminal.
            None: where a person sits there.
        since: The place in the output to begin at, as ``EPOCH:OFFSET``; empty for all that is kept.
    """

    def __init__(
        self,
        home: Path,
        target: Target,
        console: Console,
        keys: DetachKeys,
        *,
        read_only: bool = False,
        stay: bool | None = None,
        since: str = "",
    ) -> None:
        self._home = home
        self._target = target
        self._console = console
        self._display = Display(console)
        self._keys = keys
        self._read_only = read_only
        self._socket: ClientConnection | None = None
        self._connected = asyncio.Event()
        self._early: bytes | None = b""
        self._stay = console.typed if stay is None else stay
        epoch, _, offset = since.rpartition(":")
        self._epoch: str | None = epoch or None
        self._offset = int(offset or 0)
        self._end: Ending | None = None
        self._mute_until = 0.0
        self._away_since = 0.0
        self._wait = _FIRST_WAIT

    async def run(self) -> Ending:
        """Show the terminal until the person leaves or, where nobody stays for another, the program ends.

        Raises:
            AfxError: The agent has no terminal any more, or the Tower does not let us in.
            ConsoleClosedError: Nobody reads the output any more.
        """
        jobs = {asyncio.create_task(job) for job in (self._look(), self._type(), self._tell_size())}
        try:
            while True:
                done, _ = await asyncio.wait(
                    {job for job in jobs if not job.done()}, return_when=asyncio.FIRST_COMPLETED
                )
                for job in done:
                    if (ending := job.result()) is not None:
                        return ending
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _look(self) -> Ending:
        """Stay connected, and show what comes."""
        loop = asyncio.get_running_loop()
        self._away_since = loop.time()
        gone_since: float | None = None
        while True:
            ending, gone = await self._look_once()
            if ending is not None:
                return ending
            if gone:
                gone_since = gone_since or loop.time()
                if await self._follow_successor(late=loop.time() - gone_since > _GIVE_UP):
                    gone_since = None
                    continue
            else:
                gone_since = None
            if loop.time() - self._away_since > _QUIET:
                await self._display.say_waiting()
            await asyncio.sleep(self._wait)
            self._wait = min(2 * self._wait, _LONGEST_WAIT)

    async def _look_once(self) -> tuple[Ending | None, bool]:
        """Show what comes over one connection; return the ending, and else whether the terminal is gone."""
        try:
            async with self._dial() as socket:
                await self._greet(socket)
                while self._early:
                    early, self._early = self._early, b""
                    await socket.send(early)
                self._socket, self._wait, self._early = socket, _FIRST_WAIT, None
                self._connected.set()
                return await self._follow(socket), False
        except ConnectionClosed as closed:
            code = 1006 if closed.rcvd is None else closed.rcvd.code
        except InvalidStatus as answer:
            code = 4000 + answer.response.status_code
        except (TowerDownError, WebSocketException, OSError, TimeoutError) as error:
            _log.debug("%s", error)
            code = 1006
        finally:
            if self._socket is not None:
                self._away_since = asyncio.get_running_loop().time()
            self._socket = None
            self._connected.clear()
        if code in (4401, 4403):
            raise _refused()
        return None, code == 4404

    def _dial(self) -> connect:
        """Call the Tower, which may listen elsewhere than last time.

        Raises:
            TowerDownError: None runs.
        """
        address = TowerAddress.read(self._home)
        query: dict[str, object] = {}
        if self._epoch is not None:
            query["seq"] = f"{self._epoch}:{self._offset}"
        elif self._console.screen:
            query["tail"] = REPLAY
        if not self._read_only and (size := self._console.size()) is not None:
            query["cols"], query["rows"] = size
        url = f"{address.url.replace('http', 'ws', 1)}/ws/terminal/{quote(self._target.terminal_id)}"
        return connect(
            f"{url}?{urlencode(query)}",
            additional_headers={"Authorization": f"Bearer {address.key}"},
            compression=None,
            proxy=None,
            max_size=None,
            close_timeout=1,
            logger=_log,
        )

    async def _greet(self, socket: ClientConnection) -> None:
        """Take the Tower's first message."""
        news = json.loads(await socket.recv())
        # Another program may run by now; where it has ended too, that is told once more.
        self._end = None
        await self._display.say_back()
        if not news.get("resumed"):
            lost = self._epoch is not None
            await self._begin_anew(news)
            if lost:
                self._display.say_lost()

    async def _follow(self, socket: ClientConnection) -> Ending:
        while True:
            message = await socket.recv()
            if isinstance(message, bytes):
                await self._display.put(message)
                self._offset += len(message)
                self._mute_during_replay()
                continue
            news = json.loads(message)
            match news.get("type"):
                case "resync":
                    await self._begin_anew(news)
                    self._display.say_lost()
                case "exit":
                    self._end = Ending("exited", news.get("code"), news.get("signal"), over=True)
                    if not self._stay:
                        return self._end
                    await self._display.say_how_to_leave(self._keys, news.get("at"))
                case "respawn":
                    self._end = None
                case "error":
                    await self._display.ring()

    async def _begin_anew(self, news: dict[str, Any]) -> None:
        """Take up the output at another place than where it was left."""
        await self._display.clear(base64.b64decode(news.get("prologue") or ""))
        self._epoch, self._offset = str(news["epoch"]), int(news["offset"])
        self._mute_during_replay()

    def _mute_during_replay(self) -> None:
        """Drop the terminal's answers for a moment: old output asks what was answered long ago."""
        epoch, _, end = self._target.position.rpartition(":")
        if epoch and epoch == self._epoch and self._offset <= int(end):
            self._mute_until = asyncio.get_running_loop().time() + _ANSWER_GRACE

    async def _follow_successor(self, *, late: bool) -> bool:
        """Find the terminal that replaced one which is gone; return whether there is one.

        Raises:
            AfxError: There is none, and none will come by itself.
        """
        try:
            state = await asyncio.to_thread(_read_state, self._home)
        except AfxError:
            return False
        terminal = successor(
            state, self._target.agent_id, self._target.label, self._target.terminal_id, late=late
        )
        if terminal is None:
            return False
        self._target = self._target._replace(
            terminal_id=terminal["id"], position=terminal.get("position") or ""
        )
        self._epoch = None
        return True

    async def _type(self) -> Ending | None:
        """Send what is typed. Piped input waits for a connection, and its end ends nothing."""
        if self._read_only and not self._console.typed:
            return None
        while True:
            if not self._console.typed:
                await self._connected.wait()
            try:
                async with asyncio.timeout(PATIENCE if self._keys.holding else None):
                    piece = await self._console.read()
            except TimeoutError:
                await self._deliver(self._keys.release())
                continue
            if not piece:
                return self._left() if self._console.typed else None
            leave = False
            if self._console.typed:
                piece, leave = self._keys.feed(piece)
            await self._deliver(piece)
            if leave:
                return self._left()

    def _left(self) -> Ending:
        return Ending("detached") if self._end is None else self._end._replace(manner="detached")

    async def _deliver(self, data: bytes) -> None:
        report = self._console.typed and is_report(data)
        if not data or self._read_only:
            return None
        if report and asyncio.get_running_loop().time() < self._mute_until:
            return None
        if self._early is not None:
            # Typed ahead, before the first connection: it waits. Later, what finds no Tower is refused.
            self._early += data
            return None
        while True:
            if self._socket is not None:
                try:
                    return await self._socket.send(data)
                except ConnectionClosed:
                    await asyncio.sleep(0)
            if self._console.typed:
                if not report:
                    await self._display.ring()
                return None
            await asyncio.sleep(_FIRST_WAIT)
            await self._connected.wait()

    async def _tell_size(self) -> None:
        while True:
            await self._console.resized.wait()
            self._console.resized.clear()
            size = self._console.size()
            if self._socket is None or self._read_only or size is None:
                continue
            message = json.dumps({"type": "resize", "cols": size[0], "rows": size[1]})
            try:
                await self._socket.send(message)
            except ConnectionClosed:
                # The next connection says the size by itself.
                continue


def _read_state(home: Path) -> Any:  # noqa: ANN401 - what JSON holds
    return TowerClient.connect(home, timeout=10.0).state()


def _refused() -> AfxError:
    return AfxError(
        "The Tower does not take the key of this state directory.",
        hint="Restart it with `afx tower restart`; its terminals live on.",
        code="no-key",
    )
