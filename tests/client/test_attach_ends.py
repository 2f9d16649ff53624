"""How an attachment ends, and how it goes on: another process, a successor, or none."""

from __future__ import annotations

import pytest

from afx.api.errors import AfxError
from afx.client.attach import Ending
from afx.client.screen import CLEAR, notice
from client.attaching import attach, attached
from client.stub import Call, FakeConsole, Stub


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
    async with attached(tower, console, stay=None) as ending:
        await console.until(b"[Enter starts another]")
        console.type(b"\r")
        await console.until(b"again")
        console.leave()
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
    async with attached(tower, console, stay=None) as ending:
        await console.until(b"second")
        console.leave()
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
    async with attached(tower, console, stay=None) as ending:
        await console.until(b"new")
        console.leave()
    assert ending.result() == Ending("detached")


async def test_a_successor_that_is_still_to_come_is_waited_for_lesson_13(tower: Stub) -> None:
    async def second(call: Call) -> None:
        assert call.terminal == "t2"
        await call.hello(0, epoch="n")
        await call.put(b"new")
        await call.end()

    tower.scripts = [second]
    tower.gone = {"t1"}
    tower.agent(None, state="lost", reason="Its holder was killed.")
    async with attached(tower, FakeConsole()) as ending:
        await tower.until(lambda: tower.asked.count("/ws/terminal/t1") > 1)
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
        await call.end()

    tower.scripts = [first, second]
    console = FakeConsole(screen=True)
    await attach(tower, console)
    assert console.output == CLEAR + b"old" + CLEAR + b"new"


async def test_the_same_id_that_returns_is_taken_up_again_lesson_13(tower: Stub) -> None:
    async def script(call: Call) -> None:
        await call.hello(0)
        await call.end()

    tower.scripts = [script]
    tower.gone = {"t1"}
    async with attached(tower, FakeConsole()) as ending:
        await tower.until(lambda: tower.asked.count("/ws/terminal/t1") > 1)
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
        await attach(tower, FakeConsole())
    assert caught.value.message == says
    assert caught.value.code == "terminal-gone"


async def test_a_wrong_key_is_not_tried_again(tower: Stub) -> None:
    (tower.home / "key").write_text("x" * 43)
    with pytest.raises(AfxError) as caught:
        await attach(tower, FakeConsole())
    assert caught.value.code == "no-key"
    assert "xxx" not in str(caught.value) + caught.value.hint
