"""What strangers say to a holder, and what can be seen of it from outside."""

from __future__ import annotations

import signal
import stat
import sys
from pathlib import Path

import pytest

from afx.plugin import (
    Ended,
    Resized,
    Size,
    send_signal,
)
from afx.testing.theatre import next_notice, output_until
from afx_holding import frames

from .conftest import ECHO, QUIET, World, raw_connection


async def test_neither_arguments_nor_environment_show_anything_lesson_41(world: World) -> None:
    strategy = await world.tower()
    await world.spawn(strategy, "$echo the-argument; exec sleep 1000", env={"TOKEN": "the-secret"})
    process = Path(f"/proc/{world.holder().pid}")
    if sys.platform != "linux":
        pytest.skip("only Linux has /proc")
    shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert b"the-argument" not in shown
    assert b"the-secret" not in shown
    assert (process / "comm").read_text().strip() == "afx-shellper"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frames.HEADER.pack(frames.DATA, frames.MAX_PAYLOAD + 1),
        frames.raw(frames.HELLO, b"{"),
        frames.control(frames.HELLO, version="one", client="tower"),
        frames.control(frames.HELLO, version=1, client="nobody"),
        frames.control(frames.HELLO, version=1, client="terminal", tail="all"),
        frames.control(frames.RESIZE, cols=80, rows=24),
        frames.control(frames.HELLO, version=1, client="terminal")
        + frames.control(frames.RESIZE, cols=0, rows=0),
        frames.control(frames.HELLO, version=1, client="terminal") + frames.control(frames.SIGNAL, number=-9),
    ],
)
async def test_nonsense_ends_its_own_connection_only_lesson_42(world: World, nonsense: bytes) -> None:
    connection = (await world.spawn(await world.tower(), ECHO)).connection
    with raw_connection(world) as stranger:
        stranger.sendall(nonsense)
        while stranger.recv(65536):
            pass
    watch = await connection.watch()
    await connection.write(b"still here\n")
    await output_until(watch, b"got still here")
    await watch.aclose()


async def test_unknown_frames_and_fields_are_ignored_lesson_42(world: World) -> None:
    await world.spawn(await world.tower(), ECHO)
    with raw_connection(world) as newer:
        newer.sendall(frames.control(frames.HELLO, version=99, client="terminal", flavour="new"))
        newer.sendall(frames.raw(200, b"what is this") + frames.raw(frames.PING, b"there?"))
        decoder = frames.Decoder()
        seen: list[tuple[int, bytes]] = []
        while frames.PONG not in [kind for kind, _ in seen]:
            seen.extend(decoder.feed(newer.recv(65536)))
    assert (frames.PONG, b"there?") in seen
    assert seen[0][0] == frames.WELCOME
    assert frames.fields_of(seen[0][1])["version"] == frames.VERSION


async def test_what_a_tower_said_before_it_left_counts(world: World) -> None:
    """It acknowledges the end and is gone before the holder comes to answer it."""
    connection = (await world.spawn(await world.tower(), "$exit 7")).connection
    end = (await next_notice(connection, Ended)).exit
    send_signal(world.holder(), signal.SIGSTOP)
    tower = raw_connection(world)
    tower.sendall(
        frames.control(frames.HELLO, version=1, client="tower") + frames.control(frames.ACK, at=end.at)
    )
    tower.close()
    send_signal(world.holder(), signal.SIGCONT)
    connection = await (await world.tower()).reconnect(world.records["t1"])
    await connection.resize(Size(90, 30))
    assert isinstance(await anext(aiter(connection.notices())), Resized)


async def test_socket_is_private_and_in_the_state_directory_lesson_44(world: World) -> None:
    await world.spawn(await world.tower(), QUIET)
    found = world.socket().lstat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
