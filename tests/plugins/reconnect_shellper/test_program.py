"""The program in a terminal: what it is given, and what reaches it."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import anyio
import pytest

from afx.plugin import (
    Activity,
    Ended,
    Resized,
    Respawned,
    Size,
    SpawnError,
    identify,
    is_alive,
)
from afx.testing.theatre import PATIENCE, next_item, next_notice, output_until

from .conftest import QUIET, World, command


async def test_death_by_signal_is_told_apart(world: World) -> None:
    connection = (await world.spawn(await world.tower(), "$kill -KILL $$")).connection
    exit_ = (await next_notice(connection, Ended)).exit
    assert (exit_.code, exit_.signal) == (None, signal.SIGKILL)


async def test_everybody_learns_the_size_lesson_36(world: World) -> None:
    script = "$stty -echo; while read x; do stty size; done"
    connection = (await world.spawn(await world.tower(), script, size=Size(70, 20))).connection
    assert connection.facts.size == Size(70, 20)
    watch = await connection.watch()
    await connection.resize(Size(132, 43))
    assert connection.facts.size == Size(132, 43)
    assert (await next_item(watch, Resized)).size == Size(132, 43)
    await connection.write(b"\n")
    await output_until(watch, b"43 132")
    connection = await (await world.tower()).reconnect(world.records["t1"])
    assert connection.facts.size == Size(132, 43)
    await watch.aclose()


async def test_new_program_in_the_same_terminal(world: World) -> None:
    strategy = await world.tower()
    connection = (
        await world.spawn(strategy, "$printf '\\033[?1003h'; stty raw; echo first; exit 1")
    ).connection
    with pytest.raises(SpawnError, match="still runs"):
        await strategy.respawn(
            (await world.spawn(strategy, QUIET, terminal_id="t2")).connection, command(QUIET)
        )
    watch = await connection.watch()
    end = await next_item(watch, Ended)
    nothing = command(QUIET).__class__(argv=("nonesuch",), env={"PATH": "/bin"}, cwd="/")
    with pytest.raises(SpawnError, match="no program 'nonesuch'"):
        await strategy.respawn(connection, nothing)
    before = connection.facts
    assert before.exit == end.exit
    await strategy.respawn(connection, command("$echo second; read x; exit 9"))
    after = connection.facts
    assert after.exit is None
    assert after.process is not None
    assert after.process != before.process
    assert after.process == identify(after.process.pid)
    output = await output_until(watch, b"second\r\n")
    assert b"\x1b[?1003l" in output, "the mouse is off again, and lines end as in a fresh terminal"
    await connection.write(b"\n")
    assert (await next_item(watch, Ended)).exit.code == 9
    notices = connection.notices()
    kinds = []
    with anyio.fail_after(PATIENCE):
        async for notice in notices:
            kinds.append(type(notice))
            if kinds.count(Ended) == 2:
                break
    assert [kind for kind in kinds if kind is not Activity] == [Ended, Respawned, Ended]
    await watch.aclose()


async def test_input_arrives_whole_and_waits_for_a_program_that_does_not_read_lesson_38(
    world: World, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 12_000
    permission = tmp_path / "permission"
    os.mkfifo(permission)
    script = f"""
import hashlib, os, sys, time, tty
tty.setraw(0)
print("ready", flush=True)
open({str(permission)!r}).read()
got = b""
while len(got) < {len(data)}: got += os.read(0, 65536)
print(hashlib.sha256(got).hexdigest(), flush=True)
time.sleep(100)
"""
    connection = (await world.spawn(await world.tower(), script)).connection
    watch = await connection.watch()
    await output_until(watch, b"ready")
    written = anyio.Event()

    async def write() -> None:
        await connection.write(data)
        written.set()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            assert not written.is_set(), "it is more than is kept for a program that does not read"
            await anyio.Path(permission).write_text("read")
    await output_until(watch, hashlib.sha256(data).hexdigest().encode())
    await watch.aclose()


async def test_terminal_whose_program_never_reads_can_be_ended(world: World) -> None:
    strategy = await world.tower()
    connection = (await world.spawn(strategy, "$stty raw -echo; echo ready; exec sleep 1000")).connection
    watch = await connection.watch()
    await output_until(watch, b"ready")
    with anyio.move_on_after(0.3) as blocked:
        await connection.write(bytes(4 << 20))
    assert blocked.cancelled_caught
    await strategy.terminate(world.records["t1"])
    assert not is_alive(world.holder())
    await watch.aclose()


async def test_signal_reaches_the_foreground(world: World) -> None:
    script = "$trap : INT; sh -c 'trap - INT; echo ready; exec sleep 1000'; echo after; read x"
    connection = (await world.spawn(await world.tower(), script)).connection
    watch = await connection.watch()
    await output_until(watch, b"ready")
    await connection.signal(signal.SIGINT)
    await output_until(watch, b"after")
    await watch.aclose()


async def test_program_gets_its_terminal_its_limits_and_no_descriptor_of_ours(world: World) -> None:
    script = """
import os, resource, signal, sys
print(sorted(int(one) for one in os.listdir("/dev/fd")), os.isatty(0), os.getsid(0) == os.getpid())
print(os.tcgetpgrp(0) == os.getpgrp(), os.environ.get("MINE"), os.getcwd(), os.ttyname(1) == os.ttyname(0))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print([n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN and n != signal.SIGPIPE
       and n != signal.SIGXFSZ], signal.pthread_sigmask(signal.SIG_BLOCK, ()), "end")
input()
"""
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    connection = (await world.spawn(await world.tower(), script, env={"MINE": "yes"})).connection
    watch = await connection.watch()
    lines = (await output_until(watch, b"end")).decode().splitlines()
    assert lines[0] == "[0, 1, 2, 3] True True"  # 3 is the listing's own.
    assert lines[1] == "True yes / True"
    assert int(lines[2]) == soft
    assert lines[3] == "[] set() end"
    await watch.aclose()
