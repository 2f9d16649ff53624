from __future__ import annotations

import asyncio
import os
import pty
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from afx.client.console import ConsoleClosedError, ProcessConsole
from afx.client.screen import LEAVE


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a terminal: ours, and the program's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


async def read_until(descriptor: int, text: bytes) -> bytes:
    read = b""
    async with asyncio.timeout(5):
        while text not in read:
            read += await asyncio.to_thread(os.read, descriptor, 65536)
    return read


async def test_the_terminal_is_raw_within_and_as_before_after(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    before = termios.tcgetattr(theirs)
    with suppress(RuntimeError), ProcessConsole(theirs, theirs) as console:
        assert console.typed
        assert console.screen
        assert not termios.tcgetattr(theirs)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
        os.write(ours, b"\x03\x1a\r")
        assert await asyncio.wait_for(console.read(), 5) == b"\x03\x1a\r"
        await console.write(b"a\n\xff")
        raise RuntimeError
    assert termios.tcgetattr(theirs) == before
    # Raw while it was written, so no newline was translated.
    assert await read_until(ours, LEAVE[-8:]) == b"a\n\xff" + LEAVE
    assert os.get_blocking(theirs)


async def test_the_size_is_the_terminals(terminal: tuple[int, int]) -> None:
    _, theirs = terminal
    termios.tcsetwinsize(theirs, (50, 132))
    with ProcessConsole(theirs, theirs) as console:
        assert console.size() == (132, 50)


async def test_a_slow_terminal_gets_everything_and_holds_up_nothing(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    tty.setraw(theirs)
    data = os.urandom(300_000)
    with ProcessConsole(theirs, theirs) as console:
        writing = asyncio.create_task(console.write(data))
        async with asyncio.timeout(5):
            while select.select([], [theirs], [], 0)[1]:  # noqa: ASYNC110 - a terminal has no event
                await asyncio.sleep(0)
        assert not writing.done(), "the terminal is full"
        read = b""
        while len(read) < len(data):
            read += await asyncio.to_thread(os.read, ours, 65536)
        await asyncio.wait_for(writing, 5)
    assert read == data


async def test_pipes_are_left_as_they_are() -> None:
    near_in, far_in = os.pipe()
    far_out, near_out = os.pipe()
    data = os.urandom(300_000)
    with ProcessConsole(near_in, near_out) as console:
        assert not console.typed
        assert not console.screen
        assert console.size() is None
        writing = asyncio.create_task(console.write(data))
        os.write(far_in, b"typed")
        assert await asyncio.wait_for(console.read(), 5) == b"typed"
        assert not writing.done()
        read = b""
        while len(read) < len(data):
            read += await asyncio.to_thread(os.read, far_out, 65536)
        await asyncio.wait_for(writing, 5)
        os.close(far_in)
        assert await asyncio.wait_for(console.read(), 5) == b""
        os.close(far_out)
        with pytest.raises(ConsoleClosedError):
            await console.write(b"x")
    os.close(near_in)
    os.close(near_out)
    assert read == data


async def test_files_do_as_well(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"typed")
    source = os.open(tmp_path / "in", os.O_RDONLY)
    sink = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    with ProcessConsole(source, sink) as console:
        assert await console.read() == b"typed"
        assert await console.read() == b""
        await console.write(b"x" * 10_000)
    os.close(source)
    os.close(sink)
    assert (tmp_path / "out").read_bytes() == b"x" * 10_000


async def test_a_read_that_is_given_up_takes_nothing() -> None:
    source, far = os.pipe()
    with ProcessConsole(source, 1) as console:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(console.read(), 0.01)
        os.write(far, b"kept")
        assert await asyncio.wait_for(console.read(), 5) == b"kept"
    os.close(source)
    os.close(far)
