"""The process that holds a terminal: what it survives, what it keeps, and when it ends."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from afx.plugin import (
    Activity,
    ConnectionLostError,
    Ended,
    Life,
    Position,
    Reset,
    Resized,
    Respawned,
    Resumed,
    Size,
    SpawnError,
    identify,
    is_alive,
    send_signal,
)
from afx_holding import frames
from afx_reconnect_shellper import zygote_client

from .conftest import PATIENCE, World, command, next_item, next_notice, output_until, until

ECHO = "$stty -echo; echo ready; while read line; do echo got $line; done; exit 3"
QUIET = "$echo ready; exec sleep 1000"


def raw_connection(world: World, terminal_id: str = "t1") -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    connection.connect(str(world.socket(terminal_id)))
    return connection


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


async def test_husk_ends_by_itself_lesson_43(world: World) -> None:
    world.settings = {"husk_after": 0.1}
    connection = (await world.spawn(await world.tower(), "$exit 4")).connection
    ended = await next_notice(connection, Ended)
    await connection.acknowledge(ended.exit)
    await anyio.sleep(0.3)
    assert is_alive(world.holder()), "somebody is connected"
    await world.tower_stops()
    await until(lambda: not is_alive(world.holder()), "the end of the husk")
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


async def test_death_by_signal_is_told_apart(world: World) -> None:
    connection = (await world.spawn(await world.tower(), "$kill -KILL $$")).connection
    exit_ = (await next_notice(connection, Ended)).exit
    assert (exit_.code, exit_.signal) == (None, signal.SIGKILL)


async def test_client_that_comes_late_learns_of_the_end_after_all_output_lesson_35(world: World) -> None:
    script = "import sys; sys.stdout.write('x' * 300_000 + 'end'); sys.stdout.flush(); sys.exit(5)"
    connection = (await world.spawn(await world.tower(), script)).connection
    await next_notice(connection, Ended)
    watch = await connection.watch()
    got = b""
    with anyio.fail_after(PATIENCE):
        while not isinstance(item := await watch.receive(), Ended):
            got += item if isinstance(item, bytes) else b""
    assert got == b"x" * 300_000 + b"end"
    assert item.exit.code == 5
    await watch.aclose()


async def test_watch_continues_to_the_byte(world: World) -> None:
    connection = (await world.spawn(await world.tower(), ECHO)).connection
    watch = await connection.watch()
    begun = await watch.receive()
    assert isinstance(begun, Reset)
    seen = await output_until(watch, b"ready\r\n")
    await watch.aclose()
    await connection.write(b"one\n")
    position = Position(begun.start.epoch, begun.start.offset + len(seen) - 2)
    connection = await (await world.tower()).reconnect(world.records["t1"])
    watch = await connection.watch(position)
    assert await watch.receive() == Resumed(position)
    assert await output_until(watch, b"one\r\n") == b"\r\ngot one\r\n"
    await watch.aclose()
    for unknown in (Position("other", 0), Position(begun.start.epoch, 10_000)):
        watch = await connection.watch(unknown)
        assert await watch.receive() == begun
        await watch.aclose()


async def test_slow_reader_is_told_to_begin_anew_and_fast_one_has_all_lesson_31(world: World) -> None:
    lines = 300_000
    script = f"""
import sys
for n in range({lines}):
    sys.stdout.write("%07d\\n" % n)
sys.stdout.flush()
input()
"""
    connection = (await world.spawn(await world.tower(), script, scrollback=1 << 17)).connection
    slow, fast = await connection.watch(), await connection.watch()
    expected = hashlib.sha256(b"".join(b"%07d\r\n" % n for n in range(lines))).digest()
    got = hashlib.sha256()
    size = 0
    with anyio.fail_after(PATIENCE * 2):
        assert isinstance(await fast.receive(), Reset)
        while size < lines * 9:
            item = await fast.receive()
            assert isinstance(item, bytes), "the fast reader lost nothing"
            got.update(item)
            size += len(item)
    assert got.digest() == expected
    assert isinstance(await slow.receive(), Reset)
    lapped = await next_item(slow, Reset)
    assert lapped.start.offset > 0
    rest = await output_until(slow, b"%07d\r\n" % (lines - 1))
    numbers = [int(line) for line in rest.split()]
    assert numbers == list(range(numbers[0], lines)), "begins at a line, and has every one after"
    assert lapped.start.offset + len(rest) == lines * 9
    await slow.aclose()
    await fast.aclose()


async def test_program_is_not_held_up_by_one_who_does_not_read(world: World) -> None:
    script = (
        "import sys\nfor n in range(3000): sys.stdout.write('z' * 1000)\nsys.stdout.flush()\nprint('done')"
    )
    connection = (await world.spawn(await world.tower(), script)).connection
    sleeper = await connection.watch()
    assert (await next_notice(connection, Ended)).exit.code == 0
    await sleeper.aclose()


async def test_full_screen_program_repaints_for_a_newcomer_lesson_33(world: World) -> None:
    script = """
import os, signal
def paint(*_):
    os.write(1, b"\\x1b[H%dx%d;" % os.get_terminal_size())
signal.signal(signal.SIGWINCH, paint)
os.write(1, b"\\x1b[?1049h"); paint()
while True: signal.pause()
"""
    connection = (await world.spawn(await world.tower(), script, size=Size(91, 31))).connection
    watch = await connection.watch()
    await output_until(watch, b"91x31;")
    end = (newcomer := await connection.watch(tail=0)).end
    reset = await newcomer.receive()
    assert isinstance(reset, Reset)
    assert b"\x1b[?1049h" in reset.prologue
    assert reset.start == end
    assert (await output_until(newcomer, b"91x31;")).endswith(b"91x31;")
    assert connection.facts.size == Size(91, 31)
    await watch.aclose()
    await newcomer.aclose()


async def test_full_screen_program_does_not_notice_a_glance(world: World) -> None:
    script = """
import itertools, os, signal
numbers = itertools.count(1)
def paint(*_):
    os.write(1, b"\\x1b[H%d. at %dx%d;" % (next(numbers), *os.get_terminal_size()))
signal.signal(signal.SIGWINCH, paint)
os.write(1, b"\\x1b[?1049h"); paint()
while True: signal.pause()
"""
    connection = (await world.spawn(await world.tower(), script)).connection
    watch = await connection.watch()
    await output_until(watch, b"1. at 80x24;")
    for tail in (10_000, 0, 3):
        assert b"\x1b[?1049h" in await connection.glance(tail)
    await connection.resize(Size(91, 31))
    assert b"2. at 91x31;" in await output_until(watch, b"91x31;")
    await watch.aclose()


async def test_old_questions_are_not_asked_again_lesson_37(world: World) -> None:
    connection = (
        await world.spawn(await world.tower(), "$stty -echo; printf 'a\\033[6nb'; read x; printf '\\033[6n!'")
    ).connection
    first = await connection.watch()
    await output_until(first, b"b")
    late = await connection.watch()
    assert await output_until(late, b"b") == b"a" + bytes(4) + b"b"
    await connection.write(b"\n")
    assert await output_until(late, b"!") == b"\x1b[6n!"
    await first.aclose()
    await late.aclose()


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


async def test_activity_is_told_at_most_once_a_second_and_the_last_is_told(world: World) -> None:
    script = "import time\nfor n in range(60): print(n, flush=True); time.sleep(0.02)\ninput()"
    connection = (await world.spawn(await world.tower(), script)).connection
    expected = sum(len(f"{n}\r\n") for n in range(60))
    seen: list[Activity] = []
    with anyio.fail_after(PATIENCE):
        async for notice in connection.notices():
            if isinstance(notice, Activity):
                seen.append(notice)
                if notice.offset == expected:
                    break
    assert len(seen) <= 4
    assert connection.facts.end.offset == expected


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
    assert connection.facts.exit == end.exit
    before = connection.facts.process
    await strategy.respawn(connection, command("$echo second; read x; exit 9"))
    assert connection.facts.exit is None
    assert connection.facts.process != before
    assert connection.facts.process == identify(
        connection.facts.process.pid if connection.facts.process else 0
    )
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


async def test_input_arrives_whole_and_waits_for_a_program_that_does_not_read_lesson_38(world: World) -> None:
    data = bytes(range(256)) * 12_000
    script = f"""
import hashlib, os, sys, time, tty
tty.setraw(0)
print("ready", flush=True)
time.sleep(0.3)
got = b""
while len(got) < {len(data)}: got += os.read(0, 65536)
print(hashlib.sha256(got).hexdigest(), flush=True)
time.sleep(100)
"""
    connection = (await world.spawn(await world.tower(), script)).connection
    watch = await connection.watch()
    await output_until(watch, b"ready")
    with anyio.fail_after(PATIENCE):
        await connection.write(data)
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


async def test_socket_is_private_and_in_the_state_directory_lesson_44(world: World) -> None:
    await world.spawn(await world.tower(), QUIET)
    found = world.socket().lstat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600


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


async def test_what_the_tower_shows_is_part_of_the_output_while_no_program_runs(world: World) -> None:
    strategy = await world.tower()
    connection = (await world.spawn(strategy, "$printf one; read x; printf two; exit 1")).connection
    watch = await connection.watch()
    await output_until(watch, b"one")
    await connection.show(b"NOT NOW")
    await connection.write(b"\n")
    end = await next_item(watch, Ended)
    await connection.show(b"[ended]")
    await output_until(watch, b"[ended]")
    await watch.aclose()
    watch = await connection.watch()
    assert await output_until(watch, b"[ended]") == b"one\r\ntwo[ended]"
    assert (await next_item(watch, Ended)).exit == end.exit
    await watch.aclose()
