"""The page outlives Towers, terminals and lines, and nobody has to touch it."""

from __future__ import annotations

from typing import Any

from afx.testing.tower_process import TowerProcess

from .conftest import OpenTab

SOON = 2.0
"""How long after the Tower is ready a terminal may take to go on, in seconds."""


def test_a_terminal_goes_on_after_a_restart_of_the_tower_with_every_byte_once(
    tower: TowerProcess, counter: dict[str, Any], open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.await_text(counter, "count 30")
    tower.stop()
    shown = tab.numbers(counter)[-1]

    tower.start()

    # A counter runs on while its Tower is away: what it said meanwhile comes first.
    assert tab.await_more(counter, shown) < SOON
    tab.await_link()
    tab.await_more(counter, shown + 100)
    numbers = tab.numbers(counter)
    assert numbers == list(range(1, numbers[-1] + 1))
    assert tab.loads() == 1
