"""What is typed over an attachment, and what is not sent."""

from __future__ import annotations

import asyncio

from afx.client.attach import Ending
from afx.client.screen import BACK, BELL, CLEAR, WAITING
from client.attaching import attachment, finish, prompt, prompt_to
from client.stub import Call, FakeConsole, Stub


async def test_what_is_typed_arrives_and_the_detach_keys_do_not(tower: Stub) -> None:
    tower.scripts = [prompt]
    console = FakeConsole()
    attached = attachment(tower, console)
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(finish(attached))
        await console.until(b"$ ")
        for keys in (b"ls\r", b"\x00\xff", b"\x1c", b"x", b"\x1c", b"\x1cgone"):
            console.keys.put_nowait(keys)
    assert ending.result() == Ending("detached")
    assert (
        b"".join(piece for piece in tower.calls[0].received if isinstance(piece, bytes))
        == b"ls\r\x00\xff\x1cx"
    )


async def test_what_is_typed_ahead_waits_for_the_first_connection(tower: Stub) -> None:
    tower.scripts = [prompt]
    console = FakeConsole(screen=True)
    await tower.stop()
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(attachment(tower, console)))
        for key in (b"l", b"s", b"\r"):
            console.keys.put_nowait(key)
        await asyncio.sleep(0.05)
        await tower.start()
        await console.until(b"$ ")
        console.keys.put_nowait(b"\x1c\x1c")
    assert b"".join(piece for piece in tower.calls[0].received if isinstance(piece, bytes)) == b"ls\r"
    assert BELL not in console.output


async def test_a_single_detach_key_comes_through_after_a_moment(tower: Stub) -> None:
    typed: asyncio.Queue[object] = asyncio.Queue()
    tower.scripts = [prompt_to(typed)]
    console = FakeConsole()
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(attachment(tower, console)))
        await console.until(b"$ ")
        console.keys.put_nowait(b"\x1c")
        async with asyncio.timeout(5):
            assert await typed.get() == b"\x1c"
        console.keys.put_nowait(b"\x1c\x1c")


async def test_read_only_sends_neither_keys_nor_size(tower: Stub) -> None:
    tower.scripts = [prompt]
    console = FakeConsole(screen=True)
    console.cells = (10, 10)
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(attachment(tower, console, read_only=True)))
        await console.until(b"$ ")
        console.resized.set()
        console.keys.put_nowait(b"rm -rf\r")
        await asyncio.sleep(0.05)
        console.keys.put_nowait(b"\x1c\x1c")
    assert tower.calls[0].received == []
    assert "cols" not in tower.calls[0].query


async def test_a_new_size_is_told(tower: Stub) -> None:
    told: asyncio.Queue[object] = asyncio.Queue()
    tower.scripts = [prompt_to(told)]
    console = FakeConsole(screen=True)
    console.cells = (80, 24)
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(attachment(tower, console)))
        await console.until(b"$ ")
        console.cells = (132, 50)
        console.resized.set()
        async with asyncio.timeout(5):
            assert await told.get() == '{"type": "resize", "cols": 132, "rows": 50}'
        console.keys.put_nowait(b"\x1c\x1c")


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
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(attachment(tower, console)))
        await console.until(b"$ ")
        await tower.stop()
        console.keys.put_nowait(b"typed into the void")
        await console.until(BELL)
        await console.until(WAITING)
        await tower.start()
        await console.until(b"back")
        console.keys.put_nowait(b"\x1c\x1c")
    assert console.output == CLEAR + b"$ " + BELL + WAITING + BACK + b"back"
    assert tower.calls[1].received == []


async def test_nothing_is_put_into_the_middle_of_a_sequence(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"text\x1b[3")
        await call.drop()

    async def again(call: Call) -> None:
        await call.hello(7, resumed=True)
        await call.put(b"1mred")
        await call.tell(type="exit", code=0, signal=None, at=1.0)
        await call.wait()

    tower.scripts = [script, again]
    console = FakeConsole(screen=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(attachment(tower, console)))
        await console.until(b"text")
        await tower.stop()
        console.keys.put_nowait(b"x")
        await asyncio.sleep(1.5)
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
        await call.tell(type="exit", code=0, signal=None, at=1.0)
        await call.wait()

    tower.scripts = [script, again]
    console = FakeConsole(typed=False)
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(attachment(tower, console)))
        console.keys.put_nowait(b"one \x1c\x1c")
        async with asyncio.timeout(5), tower.called:
            await tower.called.wait_for(lambda: len(tower.calls) == 2)
        console.keys.put_nowait(b"two")
        console.keys.put_nowait(b"")
    assert received == [b"one \x1c\x1c", b"two"]
    assert console.output == b"done"


async def test_queries_in_a_replay_are_not_answered_again_lesson_37(tower: Stub) -> None:
    received: asyncio.Queue[object] = asyncio.Queue()
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"\x1b[c")
        await go_on.wait()
        await call.put(b"live\x1b[c")
        async for message in call.socket:
            received.put_nowait(message)

    tower.scripts = [script]
    console = FakeConsole(screen=True)
    attached = attachment(tower, console, position="e:3")
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(attached))
        await console.until(b"\x1b[c")
        console.keys.put_nowait(b"\x1b[?62;22c")
        await asyncio.sleep(0.4)
        go_on.set()
        await console.until(b"live")
        console.keys.put_nowait(b"\x1b[?62;23c")
        async with asyncio.timeout(5):
            assert await received.get() == b"\x1b[?62;23c"
        console.keys.put_nowait(b"\x1c\x1c")
