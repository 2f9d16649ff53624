"""The tests of a reconnect strategy that are about the end of a program, and the next one in its terminal."""
# ruff: noqa: S101 - a suite of tests asserts

from __future__ import annotations

import signal
import time

import anyio
import anyio.lowlevel
import pytest

from afx.api.errors import SpawnError
from afx.api.strategy import (
    Ended,
    Respawned,
    WatchItem,
)

from .theatre import (
    PATIENCE,
    Theatre,
    ended,
    next_item,
    next_notice,
    notices_of,
    output_until,
)


@pytest.mark.anyio
class EndChecks:
    """Tests of how a program's end is told, and of what follows it."""

    async def test_an_end_is_told_with_its_code_after_all_output(self, theatre: Theatre) -> None:
        """To the Tower, to who watches, and to who comes late (lesson 35)."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        await connection.write(b"count 100\r")
        end = await ended(connection, b"exit 7\r")
        assert (end.code, end.signal) == (7, None)
        assert connection.facts.exit == end
        seen: list[WatchItem] = []
        with anyio.fail_after(PATIENCE):
            while not (seen and isinstance(seen[-1], Ended)):
                seen.append(await watch.receive())
        assert seen[-1] == Ended(end)
        assert b"number 100\r\n" in b"".join(item for item in seen if isinstance(item, bytes))
        assert await next_item(await theatre.watch(connection), Ended) == Ended(end)

    async def test_death_by_a_signal_is_told_as_such(self, theatre: Theatre) -> None:
        """The signal goes to what runs in the foreground."""
        connection = await theatre.spawn(await theatre.tower())
        await output_until(await theatre.watch(connection), b"ready")
        await connection.signal(signal.SIGKILL)
        end = (await next_notice(connection, Ended)).exit
        assert (end.code, end.signal) == (None, signal.SIGKILL)

    async def test_an_end_is_told_until_it_was_noted(self, theatre: Theatre) -> None:
        """To the next Tower too, and no more after that."""
        connection = await theatre.spawn(await theatre.tower())
        end = await ended(connection, b"exit 0\r")
        _, connection = await theatre.back()
        assert connection.facts.exit == end
        assert (await next_notice(connection, Ended)).exit == end
        await connection.acknowledge(end)
        _, connection = await theatre.back()
        assert connection.facts.exit == end
        assert not any(isinstance(notice, Ended) for notice in await notices_of(connection, 0.3))

    async def test_an_end_while_the_tower_is_away_is_told(self, theatre: Theatre) -> None:
        """At once, when it comes back."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        await output_until(watch, b"ready")
        await connection.write(b"exit 3\r")
        await theatre.tower_stops()
        deadline = time.monotonic() + PATIENCE
        while True:
            _, connection = await theatre.back()
            if connection.facts.exit is not None or time.monotonic() > deadline:
                break
        assert connection.facts.exit is not None
        assert connection.facts.exit.code == 3
        assert (await next_notice(connection, Ended)).exit.code == 3

    async def test_another_program_in_the_same_terminal(self, theatre: Theatre) -> None:
        """The places in the output go on, and who watches is told."""
        strategy = await theatre.tower()
        connection = await theatre.spawn(strategy)
        watch = await theatre.watch(connection)
        end = await ended(connection, b"exit 1\r")
        await connection.acknowledge(end)
        before = connection.facts.end
        await strategy.respawn(connection, theatre.stage.puppet())
        assert connection.facts.exit is None
        await next_item(watch, Respawned)
        await connection.write(b"say second life\r")
        await output_until(watch, b"second life\r\n")
        assert connection.facts.end.epoch == before.epoch
        _, connection = await theatre.back()
        assert connection.facts.exit is None
        assert (await ended(connection, b"exit 4\r")).code == 4

    async def test_what_runs_is_not_replaced(self, theatre: Theatre) -> None:
        """Nor does a failed start of another change a terminal whose program has ended."""
        strategy = await theatre.tower()
        connection = await theatre.spawn(strategy)
        with pytest.raises(SpawnError):
            await strategy.respawn(connection, theatre.stage.puppet())
        end = await ended(connection, b"exit 1\r")
        with pytest.raises(SpawnError):
            await strategy.respawn(connection, theatre.stage.impossible())
        assert connection.facts.exit == end
        await strategy.respawn(connection, theatre.stage.puppet())
        watch = await theatre.watch(connection)
        await connection.write(b"say after all\r")
        await output_until(watch, b"after all")

    async def test_what_afx_shows_is_output(self, theatre: Theatre) -> None:
        """While no program runs, for who watches now and later."""
        connection = await theatre.spawn(await theatre.tower())
        watch = await theatre.watch(connection)
        await ended(connection, b"exit 0\r")
        await connection.show(b"shown by afx\r\n")
        await output_until(watch, b"shown by afx\r\n")
        await output_until(await theatre.watch(connection), b"shown by afx\r\n")
