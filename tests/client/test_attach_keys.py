"""What is typed over an attachment, and what is not sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from afx.client.attach import Ending
from afx.client.screen import BACK, BELL, CLEAR, WAITING
from client.attaching import attached, prompt
from client.stub import Call, FakeConsole, Stub


async def test_what_is_typed_arrives_and_the_detach_keys_do_not(tower: Stub) -> None:
    tower.scripts = [prompt]
    console = FakeConsole()
    async with attached(tower, console) as ending:
        await console.until(b"$ ")
        console.type(b"ls\r", b"\x00\xff", b"\x1c", b"x", b"\x1c", b"\x1cgone")
    assert ending.result() == Ending("detached")
    assert tower.calls[0].typed == b"ls\r\x00\xff\x1cx"


async def test_what_is_typed_ahead_waits_for_the_first_connection(
    tower: Stub, missed: asyncio.Queue[Path]
) -> None:
    tower.scripts = [prompt]
    console = FakeConsole(screen=True)
    await tower.stop()
    async with attached(tower, console):
        console.type(b"l", b"s", b"\r")
        await console.until_dealt_with()
        await missed.get()
        await tower.start()
        await console.until(b"$ ")
        console.leave()
    assert tower.calls[0].typed == b"ls\r"
    assert BELL not in console.output


async def test_a_single_detach_key_comes_through_after_a_moment(tower: Stub) -> None:
    tower.scripts = [prompt]
    console = FakeConsole()
    async with attached(tower, console):
        await console.until(b"$ ")
        console.type(b"\x1c")
        assert await tower.calls[0].first_received() == b"\x1c"
        console.leave()


async def test_read_only_sends_neither_keys_nor_size(tower: Stub) -> None:
    tower.scripts = [prompt]
    console = FakeConsole(screen=True)
    console.cells = (10, 10)
    async with attached(tower, console, read_only=True):
        await console.until(b"$ ")
        console.resized.set()
        console.type(b"rm -rf\r")
        await console.until_dealt_with()
        assert not console.resized.is_set()
        console.leave()
    assert tower.calls[0].received == []
    assert "cols" not in tower.calls[0].query


async def test_a_new_size_is_told(tower: Stub) -> None:
    tower.scripts = [prompt]
    console = FakeConsole(screen=True)
    console.cells = (80, 24)
    async with attached(tower, console):
        await console.until(b"$ ")
        console.cells = (132, 50)
        console.resized.set()
        assert await tower.calls[0].first_received() == '{"type": "resize", "cols": 132, "rows": 50}'
        console.leave()


async def test_while_the_tower_is_away_keys_ring_and_the_title_says_so_lesson_14(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"$ ")
        await call.drop()

    async def again(call: Call) -> None:
        await call.hello(2, resumed=True)
        await call.put(b"back")
        await call.listen()

    tower.scripts = [script, again]
    console = FakeConsole(screen=True)
    async with attached(tower, console):
        await console.until(b"$ ")
        await tower.stop()
        console.type(b"typed into the void")
        await console.until(BELL)
        await console.until(WAITING)
        await tower.start()
        await console.until(b"back")
        console.leave()
    assert console.output == CLEAR + b"$ " + BELL + WAITING + BACK + b"back"
    assert tower.calls[1].received == []


async def test_nothing_is_put_into_the_middle_of_a_sequence(
    tower: Stub, missed: asyncio.Queue[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afx.client.attach._QUIET", 0.0)

    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"text\x1b[3")
        await call.drop()

    async def again(call: Call) -> None:
        await call.hello(7, resumed=True)
        await call.put(b"1mred")
        await call.end()

    tower.scripts = [script, again]
    console = FakeConsole(screen=True)
    async with attached(tower, console):
        await console.until(b"text")
        await tower.stop()
        console.type(b"x")
        await console.until_dealt_with()
        # It has been told of the first before it calls again.
        for _ in range(2):
            await missed.get()
        await tower.start()
    assert console.output == CLEAR + b"text\x1b[31mred"


async def test_piped_input_waits_for_the_tower_and_its_end_ends_nothing(tower: Stub) -> None:
    received: list[object] = []

    async def script(call: Call) -> None:
        await call.hello(0)
        received.append(await call.socket.recv())
        await call.drop()

    async def again(call: Call) -> None:
        await call.hello(0, resumed=True)
        received.append(await call.socket.recv())
        await call.put(b"done")
        await call.end()

    tower.scripts = [script, again]
    console = FakeConsole(typed=False)
    async with attached(tower, console):
        console.type(b"one \x1c\x1c")
        await tower.until(lambda: len(tower.calls) == 2)
        console.type(b"two", b"")
    assert received == [b"one \x1c\x1c", b"two"]
    assert console.output == b"done"


async def test_queries_in_a_replay_are_not_answered_again_lesson_37(tower: Stub) -> None:
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"\x1b[c")
        await go_on.wait()
        await call.put(b"live\x1b[c")
        await call.listen()

    tower.scripts = [script]
    console = FakeConsole(screen=True)
    async with attached(tower, console, position="e:3"):
        await console.until(b"\x1b[c")
        console.type(b"\x1b[?62;22c")
        await console.until_dealt_with()
        go_on.set()
        await console.until(b"live")
        async with asyncio.timeout(5):
            while not tower.calls[0].received:
                console.type(b"\x1b[?62;23c")
                await asyncio.sleep(0.02)  # What was asked in the replay may still be answered.
        console.leave()
    assert set(tower.calls[0].received) == {b"\x1b[?62;23c"}
