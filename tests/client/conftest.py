"""A stub of a Tower with one terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from afx.client.http import TowerAddress, TowerDownError
from client.stub import Stub, stub_tower


@pytest.fixture
async def tower(tmp_path: Path) -> AsyncIterator[Stub]:
    async with stub_tower(tmp_path / "state") as stub:
        stub.agent({"id": "t1", "position": ""})
        yield stub


@pytest.fixture
def missed(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[Path]:
    """One entry for each time that a Tower was called and none was there."""
    calls: asyncio.Queue[Path] = asyncio.Queue()
    read = TowerAddress.read

    def noting(home: Path) -> TowerAddress:
        try:
            return read(home)
        except TowerDownError:
            calls.put_nowait(home)
            raise

    monkeypatch.setattr(TowerAddress, "read", noting)
    return calls
