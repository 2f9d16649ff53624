"""Whether there is room for one more agent."""

from __future__ import annotations

import pytest

from afx.testing.clock import FakeClock
from afx.tower.pace import Room, crowded, look, wait_for_room

GB = 2**30


@pytest.fixture
def anyio_backend(fake_clock: FakeClock) -> object:
    return fake_clock.backend


@pytest.mark.parametrize(
    ("room", "is_crowded"),
    [
        (Room(0.5, 4, 8 * GB, 16 * GB), False),
        (Room(8.0, 4, 8 * GB, 16 * GB), False),
        (Room(8.1, 4, 8 * GB, 16 * GB), True),
        (Room(0.5, 4, GB // 4, 16 * GB), True),
        (Room(0.5, 4, GB // 4, 2 * GB), False),
        (Room(0.5, 4, GB // 16, 1 * GB), True),
        (Room(0.5, 4), False),
        (Room(99.0, 4), True),
    ],
)
def test_room(room: Room, is_crowded: bool) -> None:
    assert bool(crowded(room)) is is_crowded


def test_this_machine_can_be_looked_at() -> None:
    assert look().processors >= 1
    assert look().load >= 0


async def test_it_is_waited_for_until_there_is_room_but_not_for_ever(fake_clock: FakeClock) -> None:
    rooms = iter([Room(99, 1), Room(99, 1), Room(0, 1)])
    assert "the load is 99.0" in await wait_for_room(look=lambda: next(rooms))
    assert next(rooms, None) is None
    assert await wait_for_room(look=lambda: Room(0, 1)) == ""
    began = fake_clock.monotonic()
    assert await wait_for_room(look=lambda: Room(99, 1))
    assert 60 <= fake_clock.monotonic() - began < 62
