"""What is kept of a terminal for when it is gone: as it was, of modest size, and for nobody else to read."""

from __future__ import annotations

import stat

import anyio
import pytest

from afx.api.model import AgentState, Exit, Size
from afx.testing.clock import FakeClock
from afx.tower import lastscreen
from afx.tower.agents import Agents
from afx.tower.lastscreen import LastScreens
from afx.tower.terminals import Terminals
from tower.lab import Lab, until


@pytest.fixture
def anyio_backend(fake_clock: FakeClock) -> object:
    return fake_clock.backend


def screens_of(lab: Lab, agents: Agents, terminals: Terminals) -> LastScreens:
    return LastScreens(lab.directory, agents, terminals.connected_of)


async def test_a_screen_outlives_its_terminal_and_the_tower(lab: Lab) -> None:
    await lab.begin("a")
    lab.world.holders["t-a"].write(b"\x1b[31mthe last words")
    async with lab.tower() as (agents, terminals):
        screens = screens_of(lab, agents, terminals)
        assert await screens.of("a") is None
        await screens.keep("a")
        await screens.keep("nobody")
    lab.world.kill("t-a")
    async with lab.tower() as (agents, terminals):
        screens = screens_of(lab, agents, terminals)
        await screens.keep("a")
        kept = await screens.of("a")
    assert kept is not None
    assert (kept.output, kept.size) == (b"\x1b[31mthe last words", Size(80, 24))
    file = lab.directory / "agents/a/screen"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["screen"]


async def test_it_is_kept_before_the_tower_ends_a_terminal_and_when_a_process_ends(lab: Lab) -> None:
    await lab.begin("a", "b")
    for name in ("a", "b"):
        lab.world.holders[f"t-{name}"].write(f"I am {name}".encode())
    async with lab.tower() as (agents, terminals):
        screens = screens_of(lab, agents, terminals)
        lab.listeners.are(running=(), ended=(screens.keep,), lost=(), enter=(), ending=screens.keep)
        await terminals.end(agents.terminal("t-a"), AgentState.STOPPED)
        lab.world.holders["t-b"].end(Exit(code=1, at=1.0))
        await until((lab.directory / "agents/b/screen").exists)
        for name in ("a", "b"):
            kept = await screens.of(name)
            assert kept is not None
            assert kept.output == f"I am {name}".encode()


async def test_what_runs_is_kept_now_and_then_and_only_when_it_wrote(
    lab: Lab,
) -> None:
    await lab.begin("a", "b")
    lab.world.holders["t-a"].write(b"one")
    async with lab.tower() as (agents, terminals), anyio.create_task_group() as tasks:
        screens = screens_of(lab, agents, terminals)
        tasks.start_soon(screens.run)
        await anyio.sleep(lastscreen.EVERY + 1)
        assert (lab.directory / "agents/b/screen").exists()
        file = lab.directory / "agents/a/screen"
        file.unlink()
        await anyio.sleep(10 * lastscreen.EVERY)
        assert not file.exists(), "it wrote nothing since"
        lab.world.holders["t-a"].write(b" two")
        await anyio.sleep(lastscreen.EVERY + 1)
        lab.world.kill("t-a")
        kept = await screens.of("a")
        tasks.cancel_scope.cancel()
    assert kept is not None
    assert kept.output == b"one two"


async def test_a_holder_that_hangs_a_full_disk_and_a_torn_file_cost_the_screen_only(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.begin("a")
    async with lab.tower() as (agents, terminals):
        screens = screens_of(lab, agents, terminals)
        with monkeypatch.context() as patch:
            patch.setattr(terminals.hub("t-a").connection, "glance", lambda _: anyio.sleep_forever())
            await screens.keep("a")
            patch.setattr(terminals.hub("t-a").connection, "glance", None)
            await screens.keep("a")
        (lab.directory / "agents").write_text("in the way")
        await screens.keep("a")
        assert await screens.of("a") is None
        (lab.directory / "agents").unlink()
        for torn in (b"", b"{", b'{"size": {"cols": 0, "rows": 1}, "at": 1}\n', b"\xff" * 5000):
            (lab.directory / "agents/a").mkdir(parents=True, exist_ok=True)
            (lab.directory / "agents/a/screen").write_bytes(torn)
            assert await screens.of("a") is None
        lab.world.holders["t-a"].write(b"x" * (lastscreen.MOST * 3))
        await screens.keep("a")
        assert await screens.of("a") is None, "that strategy gives more than it was asked for"
