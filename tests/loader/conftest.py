"""Distributions are installed as an installer would leave them, for one test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution import write_distribution
from loader.plugins import Install


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one entry point and the modules given, for this test only."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def put(distribution: str, points: str, version: str = "1.0", **modules: str) -> None:
        write_distribution(site, distribution, points, version, **modules)

    yield put
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing waited for long that plugins do."""
    monkeypatch.setattr("afx.discovery.PATIENCE", 0.2)
    monkeypatch.setattr("afx.loader.OBSERVER_PATIENCE", 0.2)
