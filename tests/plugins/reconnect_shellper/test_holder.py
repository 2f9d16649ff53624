"""What a holder survives, and when it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from afx.plugin import (
    ConnectionLostError,
    Ended,
    Life,
    Reset,
    Resized,
    Size,
    SpawnError,
    identify,
    is_alive,
    send_signal,
)
from afx.testing.theatre import PATIENCE, next_item, next_notice, output_until
from afx_holding import frames
from afx_reconnect_shellper import zygote_client

from .conftest import ECHO, QUIET, World, command, raw_connection, until


async def is_well(world: World) -> bool:
    survey = await (await world.tower()).survey(list(world.records.values()), PATIENCE)
    return all(survival.life is Life.ALIVE for survival in survey.values())


async def test_survives_kill_of_the_tower_and_of_its_shell_lesson_39(world: World) -> None:
    script = f"""
import anyio, msgspec, sys
from pathlib import Path
from afx.plugin import Command, StrategyContext, TerminalSpec
from afx_reconnect_shellper.strategy import ShellperStrategy

async def main():
    strategy = ShellperStrategy(StrategyContext(Path({str(world.directory)!r}), {{}}))
    await strategy.start()
    command = Command(argv=("sh", "-c", {ECHO[1:]!r}), env={{"PATH": {os.environ["PATH"]!r}}}, cwd="/")
    spawned = await strategy.spawn(TerminalSpec(id="t1", agent_id="a", label="l", command=command))
    print(msgspec.json.encode(spawned.handle).decode(), strategy._zygote._process.pid, flush=True)
    await anyio.sleep_forever()

anyio.run(main)
"""
    shell = subprocess.Popen(  # noqa: ASYNC220 - it does not wait for it
        ["/bin/sh", "-c", f"exec {sys.executable} -"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    with shell:
        shell.stdin.write(script)
        shell.stdin.close()
        handle, _, zygote = shell.stdout.readline().rpartition(" ")
        import msgspec

        from afx.plugin import TerminalRecord

        world.records["t1"] = TerminalRecord(
            id="t1",
            agent_id="a",
            host="h",
            strategy="shellper",
            handle=msgspec.json.decode(handle),
            started_at=0,
        )
        holder = world.holder()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
            assert send_signal(holder, number)
        os.killpg(holder.pid, signal.SIGHUP)
        shell.kill()
    await until(lambda: identify(int(zygote)) is None, "the end of the zygote")
    assert is_alive(holder)
    connection = await (await world.tower()).reconnect(world.records["t1"])
    watch = await connection.watch()
    await connection.write(b"hello\n")
    assert await output_until(watch, b"got hello\r\n") == b"ready\r\ngot hello\r\n"
    await watch.aclose()


async def test_works_on_when_its_package_is_removed_lesson_40(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = world.directory / "lib/afx_reconnect_shellper"
    source = Path(zygote_client.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    library = package.parent
    shutil.copytree(zygote_client._LIBRARY + "/afx_holding", library / "afx_holding")
    monkeypatch.setattr(zygote_client, "_MAIN", str(package / "shellper/__main__.py"))
    monkeypatch.setattr(zygote_client, "_LIBRARY", str(library))
    strategy = await world.tower()
    connection = (await world.spawn(strategy, ECHO)).connection
    shutil.rmtree(world.directory / "lib")
    await world.spawn(strategy, QUIET, terminal_id="t2")
    for nonsense in (b"\xff" * 10, frames.raw(frames.HELLO, b"\x00\x00\x00\xfe")):
        with raw_connection(world) as stranger:
            stranger.sendall(nonsense)
            assert stranger.recv(1) == b""
    watch = await connection.watch()
    await connection.write(b"\x04")
    assert (await next_item(watch, Ended)).exit.code == 3
    with pytest.raises(SpawnError):
        await strategy.respawn(connection, command("$").__class__(argv=("nonesuch",), env={}, cwd="/"))
    await strategy.respawn(connection, command("$printf '\\033[?1049hfull'; exec sleep 100"))
    await output_until(watch, b"full")
    await watch.aclose()
    watch = await connection.watch()
    assert b"\x1b[?1049h" not in (await next_item(watch, Reset)).prologue
    await watch.aclose()
    await strategy.terminate(world.records["t1"])


async def test_husk_ends_by_itself_lesson_43(world: World) -> None:
    world.settings = {"husk_after": 0.1}
    strategy = await world.tower()
    watched, left = [
        (await world.spawn(strategy, "$exit 4", terminal_id=name)).connection for name in ("t1", "t2")
    ]
    for connection in (watched, left):
        await connection.acknowledge((await next_notice(connection, Ended)).exit)
    await left.aclose()
    await until(lambda: not is_alive(world.holder("t2")), "the end of the husk")
    assert is_alive(world.holder("t1")), "somebody is connected"
    await world.tower_stops()
    await until(lambda: not is_alive(world.holder("t1")), "the end of the husk")
    assert list(world.directory.iterdir()) == []


async def test_end_that_nobody_noted_is_left_as_a_note_lesson_43(world: World) -> None:
    world.settings = {"unnoticed_after": 0.1}
    await world.spawn(await world.tower(), "$kill -TERM $$")
    await world.tower_stops()
    await until(lambda: not is_alive(world.holder()), "the end of the husk")
    strategy = await world.tower()
    survey = await strategy.survey([world.records["t1"]], PATIENCE)
    assert survey["t1"].life is Life.DEAD
    assert survey["t1"].exit is not None
    assert survey["t1"].exit.signal == signal.SIGTERM
    await strategy.forget(world.records["t1"])
    assert list(world.directory.iterdir()) == []


async def test_end_is_told_again_until_it_is_noted(world: World) -> None:
    connection = (await world.spawn(await world.tower(), "$printf 'last words'; exit 7")).connection
    first = await next_notice(connection, Ended)
    again = await next_notice(await (await world.tower()).reconnect(world.records["t1"]), Ended)
    assert again == first
    assert (first.exit.code, first.exit.signal) == (7, None)
    connection = await (await world.tower()).reconnect(world.records["t1"])
    await connection.acknowledge(first.exit)
    connection = await (await world.tower()).reconnect(world.records["t1"])
    await connection.resize(Size(90, 30))
    assert isinstance(await anext(aiter(connection.notices())), Resized)
    assert connection.facts.exit == first.exit
    watch = await connection.watch()
    assert await output_until(watch, b"words") == b"last words"
    await watch.aclose()


async def test_socket_whose_file_was_removed_comes_back(world: World) -> None:
    world.settings = {"check_every": 0.05}
    await world.spawn(await world.tower(), QUIET)
    await world.tower_stops()
    world.socket().unlink()
    await until(world.socket().exists, "the return of the socket")
    with anyio.fail_after(PATIENCE):
        while not await is_well(world):
            pass  # There is a moment between its name and its being listened to.


async def test_polite_end_of_a_holder_takes_its_program_along(world: World) -> None:
    connection = (await world.spawn(await world.tower(), QUIET)).connection
    program = connection.facts.process
    assert program is not None
    await world.tower_stops()
    assert send_signal(world.holder(), signal.SIGTERM)
    await until(lambda: not is_alive(world.holder()) and not is_alive(program), "the end of both")
    survey = await (await world.tower()).survey(list(world.records.values()), PATIENCE)
    assert survey["t1"].life is Life.DEAD
    assert survey["t1"].exit is not None
    assert survey["t1"].exit.signal == signal.SIGHUP


async def test_write_that_cannot_be_delivered_is_reported_lesson_14(world: World) -> None:
    connection = (await world.spawn(await world.tower(), QUIET)).connection
    assert send_signal(world.holder(), signal.SIGKILL)
    await until(lambda: not is_alive(world.holder()))
    with pytest.raises(ConnectionLostError):
        await next_notice(connection, Ended)
    with pytest.raises(ConnectionLostError):
        await connection.write(b"lost")
    with pytest.raises(ConnectionLostError):
        await connection.resize(Size(10, 10))
    with pytest.raises(ConnectionLostError):
        await connection.watch()
    assert world.socket().exists(), "losing a connection removes nothing"
