"""The near end of an attached terminal: what a person types, and where the output goes.

A `Console` is all that `afx.client.attach` knows of it. `ProcessConsole` is the real one: it puts the
person's terminal into raw mode and gives it back as it was, whatever happens in between. It also works where
input or output is a pipe or a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

from .screen import LEAVE

_PIECE = 64 * 1024


class ConsoleClosedError(Exception):
    """Nobody reads the output any more: the window is closed, or the reader of a pipe has ended."""


class Console(Protocol):
    """Where a person sits, or a pipe that stands for one.

    Attributes:
        typed: Whether a person types the input, so that the detach keys count.
        screen: Whether the output is a screen that can be cleared and may get a bell.
        resized: Set whenever `size` may have changed.
    """

    typed: bool
    screen: bool
    resized: asyncio.Event

    def size(self) -> tuple[int, int] | None:
        """Return columns and rows; None where the output has no size."""
        ...

    async def read(self) -> bytes:
        """Return the next piece of input, empty at its end. A call that is cancelled takes nothing."""
        ...

    async def write(self, data: bytes) -> None:
        """Write all of `data`.

        Raises:
            ConsoleClosedError: Nobody reads it any more.
        """
        ...

    def say(self, sentence: str) -> None:
        """Tell the person something beside the output."""
        ...


class ProcessConsole:
    """This process's own standard input and output, within ``with``."""

    def __init__(self, source: int = 0, sink: int = 1) -> None:
        self.typed = os.isatty(source)
        self.screen = os.isatty(sink)
        self.resized = asyncio.Event()
        self._source = source
        self._sink = sink
        self._own_sink: int | None = None
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        if self.typed:
            self._before = termios.tcgetattr(self._source)
            tty.setraw(self._source, termios.TCSADRAIN)
        if self.screen:
            # A description of its own: O_NONBLOCK on the shared one would reach the shell behind us, and stay
            # there should this process be killed.
            with contextlib.suppress(OSError):
                flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                self._own_sink = os.open(os.ttyname(self._sink), flags)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.screen:
            with contextlib.suppress(OSError):
                os.write(self._sink if self._own_sink is None else self._own_sink, LEAVE)
        if self._own_sink is not None:
            os.close(self._own_sink)
            self._own_sink = None
        if self._before is not None:
            # What a mouse or a query's answer left unread must not be taken for typing by the shell.
            with contextlib.suppress(termios.error):
                termios.tcflush(self._source, termios.TCIFLUSH)
                termios.tcsetattr(self._source, termios.TCSANOW, self._before)

    def size(self) -> tuple[int, int] | None:
        """Return columns and rows; None where the output has no size."""
        if not self.screen:
            return None
        try:
            columns, rows = os.get_terminal_size(self._sink)
        except OSError:
            return None
        return (columns, rows) if columns > 0 and rows > 0 else None

    async def read(self) -> bytes:
        """Return the next piece of input, empty at its end."""
        loop = asyncio.get_running_loop()
        while True:
            await _until(loop.add_reader, loop.remove_reader, self._source)
            try:
                return os.read(self._source, _PIECE)
            except BlockingIOError:
                continue
            except OSError:
                # A terminal whose window was closed gives EIO.
                return b""

    async def write(self, data: bytes) -> None:
        """Write all of `data`, without keeping anything else from running meanwhile."""
        loop = asyncio.get_running_loop()
        sink, piece = (self._sink, select.PIPE_BUF) if self._own_sink is None else (self._own_sink, _PIECE)
        rest = memoryview(data)
        while rest:
            # Where the sink may block, no more than is sure to fit once it is writable.
            if self._own_sink is None and not select.select([], [sink], [], 0)[1]:
                await _until(loop.add_writer, loop.remove_writer, sink)
            try:
                rest = rest[os.write(sink, rest[:piece]) :]
            except BlockingIOError:
                await _until(loop.add_writer, loop.remove_writer, sink)
            except OSError as error:
                raise ConsoleClosedError(error.strerror) from None

    def say(self, sentence: str) -> None:
        """Print a line to standard error."""
        print(sentence, end="\r\n" if self.typed else "\n", file=sys.stderr, flush=True)


async def _until(add: Callable[..., object], remove: Callable[[int], object], descriptor: int) -> None:
    """Wait until a descriptor is ready. Regular files, which no selector takes, always are."""
    ready = asyncio.Event()
    try:
        add(descriptor, ready.set)
    except (PermissionError, ValueError):
        await asyncio.sleep(0)
        return
    except OSError:
        return
    try:
        await ready.wait()
    finally:
        remove(descriptor)
