"""What onlookers get of the output, and when."""

from __future__ import annotations

import hashlib

import anyio

from afx.plugin import (
    Activity,
    Ended,
    Position,
    Reset,
    Resumed,
    Size,
)
from afx.testing.theatre import PATIENCE, next_item, next_notice, output_until

from .conftest import ECHO, World


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
