"""The check of the holders: what their answers mean, and real holders that answer, hang and are gone."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import anyio.to_thread
import pytest

from afx.plugin import RELEASE, DoctorContext, Exit, Finding, Level, is_alive, send_signal
from afx_holding.tower.messages import Child, Welcome
from afx_reconnect_shellper.check import Greeted, ShellperCheck, judge
from afx_reconnect_shellper.plugin import afx_doctor_checks
from plugins.reconnect_shellper.conftest import World, until

OK, WARNING, ERROR = Level.OK, Level.WARNING, Level.ERROR


def answer(
    name: str = "t1", *, version: int = 1, ended: bool = False, release: str = RELEASE, label: str = ""
) -> Greeted:
    welcome = Welcome(
        version=version,
        pid=1,
        terminal_id=name,
        agent_id="a",
        epoch="e",
        start=0,
        offset=0,
        cols=80,
        rows=24,
        started_at=0,
        release=release,
        label=label,
        child=None if ended else Child(2),
        exit=Exit(code=0, signal=None, at=1.0) if ended else None,
    )
    return Greeted(name, welcome)


@pytest.mark.parametrize(
    ("greeted", "known", "levels"),
    [
        ([], None, [OK]),
        ([answer()], {"t1"}, [OK]),
        ([answer()], None, [OK]),
        ([answer(ended=True)], {"t1"}, [OK]),
        ([answer(ended=True)], set(), [OK, WARNING]),
        ([answer()], set(), [OK, WARNING]),
        ([answer(version=0)], {"t1"}, [OK, WARNING]),
        ([answer(release="0.0.9"), answer("t2", release="0.0.9")], {"t1", "t2"}, [OK, WARNING]),
        ([answer(release="")], {"t1"}, [OK, WARNING]),
        ([Greeted("t1", pid=7)], {"t1"}, [OK, WARNING]),
        ([Greeted("t1", listens=False)], {"t1"}, [OK]),
        ([Greeted("t1", listens=False)], set(), [OK, WARNING]),
        ([Greeted("t1", listens=False)], None, [OK]),
        ([Greeted("t1", trouble="it belongs to another user")], None, [OK, ERROR]),
    ],
)
def test_what_answers_mean(greeted: list[Greeted], known: set[str] | None, levels: list[Level]) -> None:
    assert [finding.level for finding in judge(greeted, known)] == levels


def test_a_holder_of_another_afx_is_named_by_what_it_holds() -> None:
    labelled = answer(release="0.0.9", label="builder-shop-fix")
    _, finding = judge([answer("t2", release="0.0.9"), labelled], None)
    assert (
        finding.what == f"Holders of another afx (0.0.9; installed is {RELEASE}) hold builder-shop-fix, t2."
    )
    assert "a shell begins anew" in finding.why


def test_one_that_does_not_answer_is_named_with_its_process() -> None:
    assert [*judge([Greeted("t1", pid=7)], None)][1].command == "kill -CONT 7"


def test_the_entry_names_the_check() -> None:
    assert [entry.name for entry in afx_doctor_checks()] == [ShellperCheck.name]


async def examine(home: Path, terminals: frozenset[str] | None = None) -> list[Finding]:
    context = DoctorContext(home=home, env={}, terminals=terminals)
    return await anyio.to_thread.run_sync(lambda: list(ShellperCheck().examine(context)))


async def test_real_holders_are_greeted_at_once_and_not_disturbed(world: World) -> None:
    home = world.directory / "home"
    home.mkdir()
    world.directory = home / "shellper"
    world.directory.mkdir(mode=0o700)
    strategy = await world.tower()
    for name in ("t1", "t2", "t3"):
        await world.spawn(strategy, "$sleep 1000", terminal_id=name)
    assert (await examine(home))[0].what == "3 of 3 holders answer."
    holder, dead = world.holder("t2"), world.holder("t3")
    send_signal(holder, signal.SIGSTOP)
    send_signal(dead, signal.SIGKILL)
    await until(lambda: not is_alive(dead))
    began = time.monotonic()
    found = await examine(home, frozenset({"t1", "t2"}))
    assert time.monotonic() - began < 10
    send_signal(holder, signal.SIGCONT)
    assert [finding.level for finding in found] == [OK, WARNING, WARNING]
    assert found[1].command == f"kill -CONT {holder.pid}"
    assert "t3" in found[2].what
    assert strategy._connections["t1"].usable, "the Tower keeps its hold"


async def test_a_directory_that_others_can_enter_is_an_error(tmp_path: Path) -> None:
    directory = tmp_path / "shellper"
    assert [finding.level for finding in await examine(tmp_path)] == [OK]
    directory.mkdir()
    directory.chmod(0o755)
    assert [finding.level for finding in await examine(tmp_path)] == [ERROR, OK]
    directory.rmdir()
    directory.symlink_to(tmp_path)
    assert [finding.level for finding in await examine(tmp_path)] == [ERROR]


async def test_paths_that_are_too_long_are_reached_by_a_short_way(tmp_path: Path) -> None:
    import socket

    directory = tmp_path / ("d" * 120) / "shellper"
    directory.mkdir(parents=True, mode=0o700)
    here = os.getcwd()  # noqa: PTH109
    os.chdir(directory)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("t1.sock")
        os.chdir(here)
        found = await examine(directory.parent)
    assert "reached by a short symlink" in found[0].what
