"""The clock for tests: nobody really waits, and everything happens in its order."""

from __future__ import annotations

import time

import anyio
import pytest

from afx.testing.clock import FakeClock, StuckError


def test_an_hour_is_over_at_once_and_in_order() -> None:
    clock, real = FakeClock(), time.perf_counter()
    order: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await anyio.sleep(seconds)
        order.append((name, time.monotonic()))

    async def everybody() -> bool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, "long", 3600)
            tasks.start_soon(wait, "short", 0.5)
        with anyio.move_on_after(60) as scope:
            await anyio.sleep_forever()
        return scope.cancelled_caught

    assert clock.run(everybody)
    assert [name for name, _ in order] == ["short", "long"]
    assert [at for _, at in order] == pytest.approx([0.5, 3600])
    assert clock.monotonic() == pytest.approx(3660)
    assert time.perf_counter() - real < 3
    assert abs(time.time() - clock.time()) > 3600, "afterwards the time is Python's own again"


def test_the_wall_clock_goes_along_and_threads_cost_no_time() -> None:
    clock = FakeClock(start=1000.0)

    async def work() -> tuple[float, float]:
        before = time.time()
        await anyio.to_thread.run_sync(lambda: None)
        await anyio.sleep(5)
        return before, time.time()

    assert clock.run(work) == (1000.0, 1005.0)


def test_who_waits_for_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afx.testing.clock._NOBODY_COMES", 0.1)
    with pytest.raises(StuckError):
        FakeClock().run(anyio.sleep_forever)


def test_it_can_be_moved_by_hand(fake_clock: FakeClock) -> None:
    before = time.time(), time.monotonic()
    fake_clock.move(31 * 24 * 3600)
    assert time.time() - before[0] == time.monotonic() - before[1] == 31 * 24 * 3600
