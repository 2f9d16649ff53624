"""A real Tower, and a tab of the machine's real Chromium that shows its page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, BrowserContext

from afx.testing.tower_process import TowerProcess
from e2e.conftest import make_repository, serve, short_path

from .chromium import chromium
from .tab import Tab

OpenTab: TypeAlias = Callable[..., Tab]

SOON = 2.0
"""How long after the Tower is ready a terminal may take to go on, in seconds."""
COUNTER = "stty -echo; i=0; while :; do i=$((i+1)); echo count $i; sleep 0.02; done"
# Counts how often it is loaded, for a page that heals is never loaded again.
_COUNT_LOADS = (
    "if (location.protocol === 'http:') sessionStorage.loads = Number(sessionStorage.loads ?? 0) + 1"
)


def counts_whole(numbers: list[int]) -> bool:
    """Tell whether a counter is seen from its beginning, every number once and in order."""
    return bool(numbers) and numbers == list(range(1, numbers[-1] + 1))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a module. While it runs no other event loop can, so it must not stay."""
    with chromium() as started:
        yield started


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile of this test's own."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(_COUNT_LOADS)
    yield context
    context.close()


@pytest.fixture
def tower() -> Iterator[TowerProcess]:
    """A Tower of this test's own, which keeps its port when it is started again."""
    directory = short_path()
    for tower in serve(directory):
        tower.env["AFX_PORT"] = str(tower.port)
        yield tower
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def workspace(tower: TowerProcess) -> str:
    """A repository that the Tower knows."""
    repository = make_repository(Path(tower.home.parent, "shop"))
    tower.request("POST", "/api/workspaces", {"path": repository})
    return repository


@pytest.fixture
def open_tab(context: BrowserContext, tower: TowerProcess) -> Iterator[OpenTab]:
    """Opens tabs, and sees at the end that each behaved."""
    tabs: list[Tab] = []

    def open_one(address: str = "", **other: Any) -> Tab:
        tabs.append(Tab(other.get("context", context), other.get("tower", tower), address))
        return tabs[-1]

    yield open_one
    for tab in tabs:
        tab.conduct.check()


@pytest.fixture
def counter(tower: TowerProcess, workspace: str) -> dict[str, Any]:
    """An agent that counts aloud for ever."""
    agent: dict[str, Any] = tower.shell(workspace, COUNTER, "counter")
    return agent


@pytest.fixture
def architect(tower: TowerProcess, workspace: str) -> dict[str, Any]:
    """An agent that was told to plan the shop."""
    request = {"workspace": workspace, "kind": "architect", "name": "main", "task": "Plan the shop"}
    agent: dict[str, Any] = tower.request("POST", "/api/agents", request)["agent"]
    return agent
