"""What comes over an attachment: every byte once, and what is lost or began anew is said."""

from __future__ import annotations

import asyncio
from pathlib import Path

from afx.client.attach import Ending
from afx.client.screen import CLEAR
from client.attaching import attach, attached
from client.stub import Call, FakeConsole, Stub


async def test_output_is_exact_and_the_end_is_told(tower: Stub) -> None:
    every_byte = bytes(range(256)) * 40

    async def script(call: Call) -> None:
        await call.hello(5)
        await call.put(every_byte)
        await call.tell(type="something-new", x=1)
        await call.put(b"last")
        await call.end(3)

    tower.scripts = [script]
    console = FakeConsole()
    assert await attach(tower, console) == Ending("exited", 3, None, over=True)
    assert console.output == every_byte + b"last"
    assert tower.calls[0].query == {}


async def test_every_byte_once_across_drops_and_a_new_port_lesson_14(
    tower: Stub, missed: asyncio.Queue[Path]
) -> None:
    output = b"".join(b"%d\n" % number for number in range(20_000))
    sent = 0

    async def piece(call: Call) -> None:
        nonlocal sent
        if "seq" in call.query:
            epoch, _, offset = call.query["seq"].rpartition(":")
            assert epoch == "e"
            begin = int(offset) - 100
            await call.hello(begin + 100, resumed=True)
        else:
            begin = 0
            await call.hello(100)
        assert begin <= sent
        sent = begin + 17_777
        for start in range(begin, min(sent, len(output)), 1000):
            await call.put(output[start : min(start + 1000, sent)])
        if sent >= len(output):
            await call.end()
        elif len(tower.calls) == 2:
            tower.scripts.append(piece)
            await call.socket.close(1001)
        else:
            tower.scripts.append(piece)
            await call.drop()

    tower.scripts = [piece]
    console = FakeConsole()
    async with attached(tower, console) as ending:
        await console.until(b"\n2000\n")
        await tower.stop()
        await missed.get()
        await tower.start()
    assert ending.result().manner == "exited"
    assert console.output == output
    assert len(tower.calls) > 4


async def test_a_screen_is_cleared_and_gets_the_prologue(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(1000, prologue=b"\x1b[?1049h")
        await call.put(b"screen")
        await call.tell(type="resync", epoch="e", offset=9000, prologue="")
        await call.put(b"later")
        await call.drop()

    async def again(call: Call) -> None:
        await call.hello(9005, resumed=True)
        await call.end(None, 9)

    tower.scripts = [script, again]
    console = FakeConsole(screen=True)
    console.cells = (100, 30)
    assert await attach(tower, console) == Ending("exited", None, 9, over=True)
    assert console.output == CLEAR + b"\x1b[?1049hscreen" + CLEAR + b"later"
    assert tower.calls[0].query["cols"] == "100"
    assert tower.calls[0].query["rows"] == "30"
    assert "tail" in tower.calls[0].query
    assert tower.calls[1].query["seq"] == "e:9005"


async def test_lost_output_is_said_where_nothing_can_be_cleared_lesson_31(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"a")
        await call.tell(type="resync", epoch="e", offset=9, prologue="eA==")
        await call.put(b"b")
        await call.drop()

    async def other_epoch(call: Call) -> None:
        await call.hello(0, epoch="f")
        await call.put(b"c")
        await call.end()

    tower.scripts = [script, other_epoch]
    console = FakeConsole()
    await attach(tower, console)
    assert console.output == b"abc"
    assert console.said == ["[some output before this point is lost]"] * 2


async def test_it_begins_at_a_place_in_the_output(tower: Stub) -> None:
    async def script(call: Call) -> None:
        assert call.query["seq"] == "e:42"
        await call.hello(42, resumed=True)
        await call.put(b"rest")
        await call.end()

    tower.scripts = [script]
    console = FakeConsole(typed=False)
    await attach(tower, console, since="e:42")
    assert console.output == b"rest"
