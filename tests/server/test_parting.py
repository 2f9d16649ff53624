"""Before the Tower goes, everybody who is connected is told."""

from __future__ import annotations

import anyio
import pytest

from afx.server.parting import Parting
from afx.testing.clock import FakeClock


@pytest.fixture
def anyio_backend(fake_clock: FakeClock) -> object:
    return fake_clock.backend


async def test_it_lasts_until_the_last_has_gone() -> None:
    parting = Parting()
    gone: list[float] = []

    async def stay(seconds: float) -> None:
        with parting.present():
            await parting.wait()
            await anyio.sleep(seconds)
            gone.append(seconds)

    async with anyio.create_task_group() as tasks:
        for seconds in (0.3, 0.1, 0.2):
            tasks.start_soon(stay, seconds)
        await anyio.sleep(1)
        assert gone == []
        began = anyio.current_time()
        await parting.begin(5)
        assert gone == [0.1, 0.2, 0.3]
    assert anyio.current_time() - began == pytest.approx(0.3, abs=0.01)
    assert parting.has_begun


async def test_who_does_not_go_is_not_waited_for_without_end() -> None:
    parting = Parting()
    with parting.present():
        began = anyio.current_time()
        await parting.begin(2)
    assert anyio.current_time() - began == pytest.approx(2, abs=0.01)


async def test_where_nobody_is_nobody_is_waited_for() -> None:
    parting = Parting()
    began = anyio.current_time()
    await parting.begin(2)
    assert anyio.current_time() == began
