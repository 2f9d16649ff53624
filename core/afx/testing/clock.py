"""A clock for tests: time passes when everybody waits for it, and then at once.

What takes time in the Tower (a supervisor's pauses, deadlines, looks at a screen, the age of a conversation)
asks Python for the time and the event loop for a pause. This stands in for both, so that nothing has to be
written for it, and an hour of a Tower's life costs a test some milliseconds.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio.lowlevel
import anyio.to_thread

Result = TypeVar("Result")

_FOR_EVER = 24 * 3600.0
"""Seconds as which asyncio passes on that somebody waits for a time that never comes."""
_NOBODY_COMES = 10.0
"""Real seconds after which a loop in which nobody waits for a time, and nothing comes, is taken for stuck."""


class StuckError(Exception):
    """Everybody waits for something that is not going to happen."""


class FakeClock:
    """The time of a test.

    A test of plain functions sets it and moves it::

        def test_an_old_code_is_refused(fake_clock: FakeClock) -> None:
            code = make_code()
            fake_clock.move(3600)
            assert not is_good(code)

    An asynchronous test runs on a loop of it, and whatever sleeps in it wakes up in order and at once::

        @pytest.fixture
        def anyio_backend(fake_clock: FakeClock) -> object:
            return fake_clock.backend

    While it is `running`, ``time.time`` and ``time.monotonic`` are this clock's, for whoever calls them
    by the module's name; and work for anyio's threads is done at once in the loop itself, so that the order
    of things is the same every time. Processes and other threads take real time: let the clock wait for them
    by a `grace`.

    Attributes:
        grace: How many real seconds are given to files, processes and threads before time is let pass.
    """

    def __init__(self, start: float = 1_800_000_000.0, *, grace: float = 0.0) -> None:
        self.grace = grace
        self._start = start
        self._passed = 0.0

    def time(self) -> float:
        """Return what ``time.time`` says: seconds since 1970."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """Return what ``time.monotonic`` says."""
        return self._passed

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds

    @contextmanager
    def running(self) -> Iterator[FakeClock]:
        """Be the clock that Python goes by, until the end of the block."""
        kept = time.time, time.monotonic, anyio.to_thread.run_sync
        time.time, time.monotonic = self.time, self.monotonic
        anyio.to_thread.run_sync = _at_once  # type: ignore[assignment]  # takes any options
        try:
            yield self
        finally:
            time.time, time.monotonic, anyio.to_thread.run_sync = kept

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop in which this clock's time passes."""
        return _Loop(self)

    @property
    def backend(self) -> tuple[str, Mapping[str, Callable[[], asyncio.AbstractEventLoop]]]:
        """What the fixture ``anyio_backend`` is to return for tests on such a loop."""
        return "asyncio", {"loop_factory": self.new_loop}

    def run(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run an asynchronous function to its end, on a loop of its own, while the clock is `running`."""
        with self.running(), asyncio.Runner(loop_factory=self.new_loop) as runner:
            return runner.run(work())


async def _at_once(function: Callable[..., Result], *args: Any, **_options: Any) -> Result:  # noqa: ANN401
    """Do what was meant for a thread."""
    await anyio.lowlevel.checkpoint()
    return function(*args)


class _Selector(selectors.DefaultSelector):
    """Lets time pass where it would have waited."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; where nothing is, move the clock on."""
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if timeout is None or timeout >= _FOR_EVER:
            if ready := super().select(_NOBODY_COMES):
                return ready
            raise StuckError("Everybody waits, and for no time.")
        ready = super().select(self._clock.grace)
        if not ready:
            self._clock.move(timeout)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that goes by a fake clock."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(_Selector(clock))
        self._clock = clock

    def time(self) -> float:
        """Return the clock's time."""
        return self._clock.monotonic()
