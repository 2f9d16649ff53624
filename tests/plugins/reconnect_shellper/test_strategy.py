"""The Tower's side: who survived, who is dead, who merely does not answer, and what may be removed."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import anyio
import msgspec
import pytest

from afx.plugin import (
    BadInputError,
    Command,
    ConnectionLostError,
    Ended,
    Life,
    ProcessIdentity,
    SpawnError,
    StrategyContext,
    TerminalRecord,
    TerminalSpec,
    UnreachableError,
    boot_id,
    identify,
    is_alive,
    send_signal,
)
from afx.testing.theatre import PATIENCE, next_notice, output_until
from afx_reconnect_shellper import zygote_client
from afx_reconnect_shellper.strategy import ShellperStrategy

from .conftest import World, until

QUIET = "$echo ready; exec sleep 1000"


def record_of(terminal_id: str, holder: ProcessIdentity | None = None) -> TerminalRecord:
    handle = {"socket": f"{terminal_id}.sock", "holder": msgspec.to_builtins(holder)}
    return TerminalRecord(
        id=terminal_id, agent_id="a", host="h", strategy="shellper", handle=handle, started_at=0
    )


def connections_of(pid: int) -> int:
    """Return how many sockets a process has open."""
    descriptors = Path(f"/proc/{pid}/fd")
    if not descriptors.exists():
        pytest.skip("only Linux has /proc")
    return sum(1 for one in descriptors.iterdir() if str(one.readlink()).startswith("socket:"))


async def test_pid_reuse_is_not_survival_lesson_01(world: World) -> None:
    me = identify(os.getpid())
    assert me is not None
    newcomer = msgspec.structs.replace(me, start="1")
    strategy = await world.tower()
    record = record_of("t1", newcomer)
    assert (await strategy.survey([record], 1))["t1"].life is Life.DEAD
    await strategy.terminate(record)
    other_boot = msgspec.structs.replace(me, boot_id="another boot")
    assert (await strategy.survey([record_of("t1", other_boot)], 1))["t1"].life is Life.DEAD


async def test_stopped_holder_is_not_dead_and_holds_nobody_up_lesson_02(world: World) -> None:
    strategy = await world.tower()
    for terminal_id in ("t1", "t2", "t3"):
        await world.spawn(strategy, QUIET, terminal_id=terminal_id)
    strategy = await world.tower()
    assert send_signal(world.holder("t2"), signal.SIGSTOP)
    records = list(world.records.values())
    begun = time.monotonic()
    survey = await strategy.survey(records, 0.5)
    assert time.monotonic() - begun < 2
    assert [survey[record.id].life for record in records] == [Life.ALIVE, Life.NO_ANSWER, Life.ALIVE]
    assert "does not answer" in survey["t2"].reason
    with pytest.raises(UnreachableError):
        with anyio.fail_after(PATIENCE):
            await strategy.terminate(record_of("t2", world.holder("t2")))
    assert (await strategy.survey(records, 0.1))["t2"].life is Life.NO_ANSWER
    sockets = connections_of(world.holder("t2").pid)
    assert send_signal(world.holder("t2"), signal.SIGCONT)
    assert (await strategy.survey(records, PATIENCE))["t2"].life is Life.ALIVE
    assert connections_of(world.holder("t2").pid) == sockets + 1, "it was asked once"
    await strategy.reconnect(world.records["t2"])


async def test_missing_socket_of_a_living_holder_proves_nothing_lesson_03(world: World) -> None:
    await world.spawn(await world.tower(), QUIET)
    world.socket().rename(world.directory / "hidden")
    strategy = await world.tower()
    survey = await strategy.survey(list(world.records.values()), 1)
    assert survey["t1"].life is Life.NO_ANSWER
    assert "runs but has no socket" in survey["t1"].reason
    await strategy.forget(world.records["t1"])
    with pytest.raises(UnreachableError):
        await strategy.terminate(world.records["t1"])
    (world.directory / "hidden").rename(world.socket())
    assert (await strategy.survey(list(world.records.values()), PATIENCE))["t1"].life is Life.ALIVE


async def test_killed_holder_is_dead_and_leaves_nothing_lesson_03(world: World) -> None:
    program = (await world.spawn(await world.tower(), QUIET)).connection.facts.process
    assert program is not None
    assert send_signal(world.holder(), signal.SIGKILL)
    await until(lambda: not is_alive(world.holder()))
    strategy = await world.tower()
    assert (await strategy.survey(list(world.records.values()), 1))["t1"].life is Life.DEAD
    await strategy.forget(world.records["t1"])
    assert not world.socket().exists()
    await until(lambda: not is_alive(program), "the program's end with its terminal")


async def test_another_terminal_in_its_place_is_not_it(world: World) -> None:
    await world.spawn(await world.tower(), QUIET)
    os.link(world.socket(), world.socket("t9"))
    strategy = await world.tower()
    survey = await strategy.survey([record_of("t9")], PATIENCE)
    assert survey["t9"].life is Life.NO_ANSWER
    assert "t1" in survey["t9"].reason
    with pytest.raises(ConnectionLostError):
        await strategy.reconnect(record_of("t9"))
    world.socket("t9").unlink()


async def test_terminal_that_no_record_names_is_found_lesson_06(world: World) -> None:
    strategy = await world.tower()
    await world.spawn(strategy, QUIET)
    await world.spawn(strategy, QUIET, terminal_id="t2")
    assert await strategy.orphans([]) == []
    strategy = await world.tower()
    (orphan,) = await strategy.orphans([world.records["t2"]])
    assert (orphan.terminal_id, orphan.agent_id) == ("t1", "agent-of-t1")
    assert "label-of-t1" in orphan.note
    assert orphan.handle == world.records["t1"].handle
    adopted = msgspec.structs.replace(world.records["t1"], handle=orphan.handle)
    connection = await strategy.reconnect(adopted)
    watch = await connection.watch()
    await output_until(watch, b"ready")
    await watch.aclose()


async def test_cleaning_spares_what_is_not_ours_lesson_07(world: World, tmp_path: Path) -> None:
    strategy = await world.tower()
    await world.spawn(strategy, QUIET)
    (world.directory / "file.sock").write_text("precious")
    (world.directory / "link.sock").symlink_to(world.socket())
    (world.directory / "dangling.sock").symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(world.directory / "stale.sock"))
    with socket.socket(socket.AF_UNIX) as fresh:
        fresh.bind(str(world.directory / "fresh.sock"))
    long_ago = time.time() - 1000
    os.utime(world.directory / "stale.sock", (long_ago, long_ago))
    strategy = await world.tower()
    assert [orphan.terminal_id for orphan in await strategy.orphans([])] == ["t1"]
    left = {one.name for one in world.directory.iterdir()}
    assert left == {"t1.sock", "file.sock", "link.sock", "dangling.sock", "fresh.sock"}
    for terminal_id in ("file", "link", "dangling", "t1"):
        await strategy.forget(record_of(terminal_id))
    assert {one.name for one in world.directory.iterdir()} == left


@pytest.mark.parametrize("terminal_id", ["../x", "a/b", "", ".hidden", "x" * 65, "a\nb", "-t"])
async def test_ids_that_are_no_file_names_are_refused_lesson_47(world: World, terminal_id: str) -> None:
    strategy = await world.tower()
    with pytest.raises(SpawnError, match="cannot be the id"):
        await world.spawn(strategy, QUIET, terminal_id=terminal_id)
    survey = await strategy.survey([record_of(terminal_id)], 1)
    assert survey[terminal_id].life is Life.NO_ANSWER
    await strategy.forget(record_of(terminal_id))


async def test_identities_are_those_the_system_tells_lesson_08(world: World) -> None:
    spawned = await world.spawn(await world.tower(), QUIET)
    assert world.holder() == identify(world.holder().pid)
    program = spawned.connection.facts.process
    assert program is not None
    assert program == identify(program.pid)
    assert program.boot_id == boot_id()


async def test_many_readers_make_one_connection_lesson_11(world: World) -> None:
    await world.spawn(await world.tower(), QUIET)
    one = connections_of(world.holder().pid)
    await world.tower_stops()
    with anyio.fail_after(PATIENCE):
        while connections_of(world.holder().pid) != one - 1:  # noqa: ASYNC110 - /proc tells nobody
            await anyio.sleep(0.01)
    strategy = await world.tower()
    records = list(world.records.values())
    with anyio.fail_after(PATIENCE / 2):
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(strategy.survey, records, PATIENCE)
    connections = {await strategy.reconnect(records[0]) for _ in range(50)}
    assert len(connections) == 1
    assert connections_of(world.holder().pid) == one


async def test_newer_tower_connection_replaces_the_older(world: World) -> None:
    spawned = await world.spawn(await world.tower(), QUIET)
    other = ShellperStrategy(StrategyContext(world.directory, {}))
    connection = await other.reconnect(world.records["t1"])
    with pytest.raises(ConnectionLostError):
        await next_notice(spawned.connection, Ended)
    assert connection.facts.exit is None
    await other.aclose()


@pytest.mark.parametrize(
    ("argv", "cwd", "sentence"),
    [
        (("nonesuch",), "/", "There is no program 'nonesuch' on the PATH."),
        (("/no/such/program",), "/", "There is no program /no/such/program."),
        (("/etc/passwd",), "/", "/etc/passwd is not executable."),
        (("sh",), "/no/such/directory", "The directory /no/such/directory does not exist."),
        ((), "/", "There is no program to start: the command is empty."),
        (("sh", "a\0b"), "/", "cannot be started: Invalid argument."),
    ],
)
async def test_failed_start_says_why_and_leaves_nothing(
    world: World, argv: tuple[str, ...], cwd: str, sentence: str
) -> None:
    strategy = await world.tower()
    spec = TerminalSpec(
        id="t1", agent_id="a", label="l", command=Command(argv=argv, env={"PATH": "/bin:/usr/bin"}, cwd=cwd)
    )
    with pytest.raises(SpawnError) as failure:
        await strategy.spawn(spec)
    assert sentence in failure.value.message
    assert list(world.directory.iterdir()) == []
    assert (await world.spawn(strategy, QUIET)).connection.facts.exit is None


async def test_program_without_an_interpreter_is_a_failed_start(world: World) -> None:
    program = world.directory / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o700)
    spec = TerminalSpec(
        id="t1", agent_id="a", label="l", command=Command(argv=(str(program),), env={}, cwd="/")
    )
    with pytest.raises(SpawnError, match="cannot be started: No such file"):
        await (await world.tower()).spawn(spec)
    assert [one.name for one in world.directory.iterdir()] == ["program"]


async def test_taken_id_is_refused_and_its_terminal_unharmed(world: World) -> None:
    strategy = await world.tower()
    connection = (await world.spawn(strategy, QUIET)).connection
    command = Command(argv=("sleep", "1000"), env={"PATH": "/bin:/usr/bin"}, cwd="/")
    with pytest.raises(SpawnError, match="alive"):
        await strategy.spawn(TerminalSpec(id="t1", agent_id="a", label="l", command=command))
    watch = await connection.watch()
    await output_until(watch, b"ready")
    await watch.aclose()


async def test_too_large_an_environment_is_a_failed_start(world: World) -> None:
    with pytest.raises(SpawnError, match="1 MiB"):
        await world.spawn(await world.tower(), QUIET, env={"HUGE": "x" * (1 << 20)})


async def test_zygote_that_was_killed_is_replaced(world: World) -> None:
    strategy = await world.tower()
    await world.spawn(strategy, QUIET)
    zygote = strategy._zygote._process
    assert zygote is not None
    zygote.kill()
    zygote.wait()
    await world.spawn(strategy, QUIET, terminal_id="t2")
    survey = await strategy.survey(list(world.records.values()), PATIENCE)
    assert {survival.life for survival in survey.values()} == {Life.ALIVE}


async def test_holder_that_was_expected_is_the_one_that_is_used(world: World) -> None:
    strategy = await world.tower()
    strategy.expect_spawn()
    ((_, expected),) = strategy._zygote._unborn
    await world.spawn(strategy, QUIET)
    assert strategy._zygote._unborn == []
    assert strategy._connections["t1"]._link._connection is expected


async def test_holder_that_was_expected_too_long_ago_is_not_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = await world.tower()
    monkeypatch.setattr(zygote_client, "_WAITS", -1.0)
    strategy.expect_spawn()
    ((_, expected),) = strategy._zygote._unborn
    await world.spawn(strategy, QUIET)
    assert expected.fileno() == -1


async def test_holder_that_was_expected_in_vain_ends_with_its_tower(world: World) -> None:
    strategy = await world.tower()
    for _time in range(6):
        strategy.expect_spawn()
    waiting = [socket for _, socket in strategy._zygote._unborn]
    assert len(waiting) == 4, "of so many it is asked for in vain, few are kept"
    holders = [one.dup() for one in waiting]
    await strategy._zygote.aclose()
    for holder in holders:
        holder.shutdown(socket.SHUT_WR)
        with anyio.fail_after(PATIENCE):
            await anyio.wait_readable(holder)
        assert holder.recv(1) == b"", "it says nothing and is gone"
        holder.close()


async def test_directory_with_a_long_path_works_lesson_44(world: World) -> None:
    long = world.directory / ("long" * 30) / ("näme with spaces" * 5)
    long.mkdir(parents=True)
    world.directory = long
    await world.spawn(await world.tower(), QUIET)
    strategy = await world.tower()
    assert (await strategy.survey(list(world.records.values()), PATIENCE))["t1"].life is Life.ALIVE
    connection = await strategy.reconnect(world.records["t1"])
    watch = await connection.watch()
    await output_until(watch, b"ready")
    await watch.aclose()


async def test_alias_directory_of_somebody_else_is_not_used_lesson_44(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_to_all = tmp_path / f"afx-{os.getuid()}"
    open_to_all.mkdir(mode=0o777)
    open_to_all.chmod(0o777)
    monkeypatch.setattr("afx_holding.tower.places._SHORT_HOME", str(tmp_path))
    long = world.directory / ("long" * 30)
    long.mkdir()
    strategy = ShellperStrategy(StrategyContext(long, {}))
    survey = await strategy.survey([record_of("t1")], 1)
    assert survey["t1"].life is Life.NO_ANSWER
    assert "private directory" in survey["t1"].reason
    await strategy.aclose()


async def test_stubborn_program_is_killed_after_its_grace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShellperStrategy, "grace", 0.2)
    strategy = await world.tower()
    script = "$trap '' HUP TERM; echo ready; while :; do sleep 1; done"
    connection = (await world.spawn(strategy, script)).connection
    watch = await connection.watch()
    await output_until(watch, b"ready")
    await strategy.terminate(world.records["t1"])
    assert connection.facts.process is not None
    assert not is_alive(connection.facts.process)
    assert not is_alive(world.holder())
    assert list(world.directory.iterdir()) == []
    await watch.aclose()


async def test_terminal_that_died_by_itself_can_be_terminated(world: World) -> None:
    strategy = await world.tower()
    connection = (await world.spawn(strategy, "$exit 0")).connection
    await next_notice(connection, Ended)
    await strategy.terminate(world.records["t1"])
    await strategy.terminate(world.records["t1"])
    assert list(world.directory.iterdir()) == []


async def test_holders_live_on_when_the_tower_stops_lesson_39(world: World) -> None:
    await world.spawn(await world.tower(), QUIET)
    await world.tower_stops()
    assert is_alive(world.holder())
    assert world.socket().exists()


@pytest.mark.parametrize("value", ["10m", -1, True, None, 0])
def test_settings_are_checked(tmp_path: Path, value: object) -> None:
    with pytest.raises(BadInputError, match="husk_after"):
        ShellperStrategy(StrategyContext(tmp_path, {"husk_after": value}))
