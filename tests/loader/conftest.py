"""Distributions are installed as an installer would leave them, for one test."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from distribution import write_plugin
from loader.plugins import Install


@pytest.fixture
def install(site: Path) -> Install:
    """Install a distribution with one plugin for this test, see `write_plugin`."""
    return partial(write_plugin, site)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing waited for long that plugins do."""
    monkeypatch.setattr("afx.discovery.PATIENCE", 0.2)
    monkeypatch.setattr("afx.loader.OBSERVER_PATIENCE", 0.2)
