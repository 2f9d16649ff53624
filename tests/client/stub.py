"""A stand-in for the Tower's WebSocket and state: scripted by the test, on a free port, without a process."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

KEY = "k" * 43
Script = Callable[["Call"], Awaitable[None]]


class Call:
    """One connection of an onlooker."""

    def __init__(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        parts = urlsplit(socket.request.path)
        self.socket = socket
        self.received: list[str | bytes] = []
        self.over = asyncio.Event()
        self.terminal = parts.path.rpartition("/")[2]
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._news = asyncio.Condition()

    async def hello(
        self, offset: int, *, resumed: bool = False, epoch: str = "e", prologue: bytes = b""
    ) -> None:
        await self.tell(
            type="hello",
            version=1,
            resumed=resumed,
            epoch=epoch,
            offset=offset,
            prologue=base64.b64encode(prologue).decode(),
            size={"cols": 80, "rows": 24},
            future_field=1,
        )

    async def tell(self, **news: object) -> None:
        await self.socket.send(json.dumps(news))

    async def put(self, data: bytes) -> None:
        await self.socket.send(data)

    async def end(self, code: int | None = 0, signal: int | None = None) -> None:
        """Say that the program has ended, and wait until the onlooker has gone."""
        await self.tell(type="exit", code=code, signal=signal, at=1.0)
        await self.socket.wait_closed()

    async def drop(self) -> None:
        """End the connection as a killed Tower does."""
        self.socket.transport.abort()

    async def listen(self) -> None:
        """Keep what is sent in `received` until the connection ends."""
        async for message in self.socket:
            async with self._news:
                self.received.append(message)
                self._news.notify_all()

    @property
    def typed(self) -> bytes:
        """What was typed, in one piece."""
        return b"".join(message for message in self.received if isinstance(message, bytes))

    async def first_received(self) -> str | bytes:
        """Wait until something is received, and return what came first."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: self.received)
        return self.received[0]


class Stub:
    """The Tower: each connection runs the next script. State reads answer with `state`.

    Attributes:
        gone: Terminals that it does not know.
        asked: The paths that were asked for, in their order.
        called: Told of each that is asked for, and each connection.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.scripts: list[Script] = []
        self.calls: list[Call] = []
        self.state: dict[str, Any] = {"workspaces": []}
        self.gone: set[str] = set()
        self.asked: list[str] = []
        self.called = asyncio.Condition()
        self._server: Server | None = None

    async def start(self) -> None:
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._answer, close_timeout=0.1
        )
        port = next(iter(self._server.sockets)).getsockname()[1]
        facts = {"pid": os.getpid(), "port": port, "url": f"http://127.0.0.1:{port}", "version": "0"}
        self.home.mkdir(mode=0o700, exist_ok=True)
        (self.home / "tower.json").write_text(json.dumps(facts))
        key = self.home / "key"
        key.touch(0o600)
        key.write_text(KEY)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
            (self.home / "tower.json").unlink()

    def agent(self, terminal: dict[str, Any] | None, **facts: Any) -> None:
        agent = {"id": "a1", "kind": "builder", "name": "fix", "state": "running", "reason": "", **facts}
        self.state = {"workspaces": [{"path": "/w", "agents": [{**agent, "terminal": terminal}]}]}

    async def until(self, look: Callable[[], bool]) -> None:
        """Wait until what was asked for, or who is connected, is as wanted."""
        async with asyncio.timeout(5), self.called:
            await self.called.wait_for(look)

    async def _answer(self, socket: ServerConnection, request: Request) -> Response | None:
        async with self.called:
            self.asked.append(urlsplit(request.path).path)
            self.called.notify_all()
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return socket.respond(HTTPStatus.UNAUTHORIZED, "")
        if request.path == "/api/state":
            return socket.respond(HTTPStatus.OK, json.dumps(self.state))
        if urlsplit(request.path).path.rpartition("/")[2] in self.gone:
            return socket.respond(HTTPStatus.NOT_FOUND, "")
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        call = Call(socket)
        async with self.called:
            self.calls.append(call)
            self.called.notify_all()
        try:
            await self.scripts.pop(0)(call)
        finally:
            call.over.set()


@asynccontextmanager
async def stub_tower(home: Path) -> AsyncIterator[Stub]:
    stub = Stub(home)
    await stub.start()
    try:
        yield stub
    finally:
        await stub.stop()


class FakeConsole:
    """A console of memory."""

    def __init__(self, *, typed: bool = True, screen: bool = False) -> None:
        self.typed = typed
        self.screen = screen
        self.resized = asyncio.Event()
        self.output = bytearray()
        self.said: list[str] = []
        self.cells: tuple[int, int] | None = None
        self._keys: asyncio.Queue[bytes] = asyncio.Queue()
        self._last_is_dealt_with = True
        self._news = asyncio.Condition()

    def size(self) -> tuple[int, int] | None:
        return self.cells

    def type(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._keys.put_nowait(piece)

    def leave(self) -> None:
        """Press the detach keys."""
        self.type(b"\x1c\x1c")

    async def read(self) -> bytes:
        if not self._last_is_dealt_with:
            self._keys.task_done()
        self._last_is_dealt_with = True
        piece = await self._keys.get()
        self._last_is_dealt_with = False
        return piece

    async def until_dealt_with(self) -> None:
        """Wait until all that was typed was read, and more was asked for."""
        async with asyncio.timeout(5):
            await self._keys.join()

    async def write(self, data: bytes) -> None:
        async with self._news:
            self.output += data
            self._news.notify_all()

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: text in self.output)
