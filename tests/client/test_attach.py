from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from afx.api.errors import AfxError
from afx.client.attach import Attachment, Ending, Target
from afx.client.keys import DetachKeys
from afx.client.screen import BACK, BELL, CLEAR, WAITING, notice
from client.stub import Call, FakeConsole, Stub, stub_tower

KEYS = (ord("\\"), ord("\\"))


@pytest.fixture
async def tower(tmp_path: Path) -> AsyncIterator[Stub]:
    async with stub_tower(tmp_path / "state") as stub:
        stub.agent({"id": "t1", "position": ""})
        yield stub


def attachment(
    tower: Stub,
    console: FakeConsole,
    *,
    position: str = "",
    read_only: bool = False,
    stay: bool | None = False,
    since: str = "",
) -> Attachment:
    target = Target("a1", "builder/fix", "t1", position)
    return Attachment(
        tower.home, target, console, DetachKeys(KEYS), read_only=read_only, stay=stay, since=since
    )


async def finish(attached: Attachment) -> Ending:
    async with asyncio.timeout(10):
        return await attached.run()


async def test_output_is_exact_and_the_end_is_told(tower: Stub) -> None:
    every_byte = bytes(range(256)) * 40

    async def script(call: Call) -> None:
        await call.hello(5)
        await call.put(every_byte)
        await call.tell(type="something-new", x=1)
        await call.put(b"last")
        await call.tell(type="exit", code=3, signal=None, at=1.0)
        await call.wait()

    tower.scripts = [script]
    console = FakeConsole()
    assert await finish(attachment(tower, console)) == Ending("exited", 3, None, over=True)
    assert console.output == every_byte + b"last"
    assert tower.calls[0].query == {}


async def test_every_byte_once_across_drops_and_a_new_port_lesson_14(tower: Stub) -> None:
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
            await call.tell(type="exit", code=0, signal=None, at=1.0)
            await call.wait()
        elif len(tower.calls) == 2:
            tower.scripts.append(piece)
            await call.socket.close(1001)
        else:
            tower.scripts.append(piece)
            await call.drop()

    async def move() -> None:
        await console.until(b"\n2000\n")
        await tower.stop()
        await asyncio.sleep(0.3)
        await tower.start()

    tower.scripts = [piece]
    console = FakeConsole()
    async with asyncio.TaskGroup() as group:
        group.create_task(move())
        assert (await finish(attachment(tower, console))).manner == "exited"
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
        await call.tell(type="exit", code=None, signal=9, at=1.0)
        await call.wait()

    tower.scripts = [script, again]
    console = FakeConsole(screen=True)
    console.cells = (100, 30)
    assert await finish(attachment(tower, console)) == Ending("exited", None, 9, over=True)
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
        await call.tell(type="exit", code=0, signal=None, at=1.0)
        await call.wait()

    tower.scripts = [script, other_epoch]
    console = FakeConsole()
    await finish(attachment(tower, console))
    assert console.output == b"abc"
    assert console.said == ["[some output before this point is lost]"] * 2


async def test_what_is_typed_arrives_and_the_detach_keys_do_not(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"$ ")
        await call.listen()

    tower.scripts = [script]
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
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"$ ")
        await call.listen()

    tower.scripts = [script]
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

    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"$ ")
        async for message in call.socket:
            typed.put_nowait(message)

    tower.scripts = [script]
    console = FakeConsole()
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(attachment(tower, console)))
        await console.until(b"$ ")
        console.keys.put_nowait(b"\x1c")
        async with asyncio.timeout(5):
            assert await typed.get() == b"\x1c"
        console.keys.put_nowait(b"\x1c\x1c")


async def test_read_only_sends_neither_keys_nor_size(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"$ ")
        await call.listen()

    tower.scripts = [script]
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

    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"$ ")
        async for message in call.socket:
            told.put_nowait(message)

    tower.scripts = [script]
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


async def test_a_person_stays_at_the_end_and_enter_reaches_the_tower_lesson_25(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"bye")
        await call.tell(type="exit", code=0, signal=None, at=1.0)
        await call.put(b"[Enter starts another]")
        assert await call.socket.recv() == b"\r"
        await call.tell(type="respawn")
        await call.put(b"again")
        await call.listen()

    tower.scripts = [script]
    console = FakeConsole(screen=True)
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(finish(attachment(tower, console, stay=None)))
        await console.until(b"[Enter starts another]")
        console.keys.put_nowait(b"\r")
        await console.until(b"again")
        console.keys.put_nowait(b"\x1c\x1c")
    assert ending.result() == Ending("detached")
    told = notice("ctrl-\\ ctrl-\\ leaves this terminal.")
    assert console.output == CLEAR + b"bye" + told + b"[Enter starts another]" + b"again"


async def test_who_leaves_after_the_end_is_told_of_it_lesson_35(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.tell(type="exit", code=None, signal=9, at=1.0)
        await call.put(b"first")
        await call.drop()

    async def again(call: Call) -> None:
        await call.hello(5, resumed=True)
        await call.tell(type="exit", code=None, signal=9, at=1.0)
        await call.put(b"second")
        await call.listen()

    tower.scripts = [script, again]
    console = FakeConsole(screen=True)
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(finish(attachment(tower, console, stay=None)))
        await console.until(b"second")
        console.keys.put_nowait(b"\x1c\x1c")
    assert ending.result() == Ending("detached", None, 9, over=True)
    assert console.output.count(b"leaves this terminal") == 1


async def test_a_process_that_began_while_the_tower_was_away_has_not_ended(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.tell(type="exit", code=1, signal=None, at=1.0)
        await call.drop()

    async def again(call: Call) -> None:
        await call.hello(0, resumed=True)
        await call.put(b"new")
        await call.listen()

    tower.scripts = [script, again]
    console = FakeConsole()
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(finish(attachment(tower, console, stay=None)))
        await console.until(b"new")
        console.keys.put_nowait(b"\x1c\x1c")
    assert ending.result() == Ending("detached")


async def test_it_begins_at_a_place_in_the_output(tower: Stub) -> None:
    async def script(call: Call) -> None:
        assert call.query["seq"] == "e:42"
        await call.hello(42, resumed=True)
        await call.put(b"rest")
        await call.tell(type="exit", code=0, signal=None, at=1.0)
        await call.wait()

    tower.scripts = [script]
    console = FakeConsole(typed=False)
    await finish(attachment(tower, console, since="e:42"))
    assert console.output == b"rest"


async def test_a_successor_that_is_still_to_come_is_waited_for_lesson_13(tower: Stub) -> None:
    async def second(call: Call) -> None:
        assert call.terminal == "t2"
        await call.hello(0, epoch="n")
        await call.put(b"new")
        await call.tell(type="exit", code=0, signal=None, at=1.0)
        await call.wait()

    tower.scripts = [second]
    tower.gone = {"t1"}
    tower.agent(None, state="lost", reason="Its holder was killed.")
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(finish(attachment(tower, FakeConsole())))
        await asyncio.sleep(0.3)
        assert not ending.done()
        tower.agent({"id": "t2", "position": "n:0", "predecessors": ["t1"]})
    assert ending.result().manner == "exited"


@pytest.mark.parametrize("how", ["404", "4404"])
async def test_the_successor_is_followed_lesson_13(tower: Stub, how: str) -> None:
    async def first(call: Call) -> None:
        await call.hello(50)
        await call.put(b"old")
        tower.agent({"id": "t2", "position": "n:0", "predecessors": ["t1"]})
        tower.gone = {"t1"} if how == "404" else set()
        await (call.drop() if how == "404" else call.socket.close(4404))

    async def second(call: Call) -> None:
        assert call.terminal == "t2"
        assert "seq" not in call.query
        await call.hello(0, epoch="n")
        await call.put(b"new")
        await call.tell(type="exit", code=0, signal=None, at=1.0)
        await call.wait()

    tower.scripts = [first, second]
    console = FakeConsole(screen=True)
    await finish(attachment(tower, console))
    assert console.output == CLEAR + b"old" + CLEAR + b"new"


async def test_the_same_id_that_returns_is_taken_up_again_lesson_13(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.tell(type="exit", code=0, signal=None, at=1.0)
        await call.wait()

    tower.scripts = [script]
    tower.gone = {"t1"}
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(finish(attachment(tower, FakeConsole())))
        await asyncio.sleep(0.3)
        tower.gone = set()
    assert ending.result().manner == "exited"


@pytest.mark.parametrize(
    ("state", "reason", "says"),
    [
        (
            "lost",
            "Its holder was killed.",
            "builder/fix has no terminal any more; it is lost: Its holder was killed.",
        ),
        ("stopped", "", "builder/fix has no terminal any more; it is stopped."),
        (None, "", "builder/fix was removed, and its terminal with it."),
    ],
)
async def test_a_terminal_that_is_gone_for_good_is_said_in_one_sentence(
    tower: Stub, state: str | None, reason: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afx.client.attach._GIVE_UP", 0.2)
    tower.gone = {"t1"}
    if state is None:
        tower.state = {"workspaces": []}
    else:
        tower.agent(None, state=state, reason=reason)
    with pytest.raises(AfxError) as caught:
        await finish(attachment(tower, FakeConsole()))
    assert caught.value.message == says
    assert caught.value.code == "terminal-gone"


async def test_a_wrong_key_is_not_tried_again(tower: Stub) -> None:
    (tower.home / "key").write_text("x" * 43)
    with pytest.raises(AfxError) as caught:
        await finish(attachment(tower, FakeConsole()))
    assert caught.value.code == "no-key"
    assert "xxx" not in str(caught.value) + caught.value.hint


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
