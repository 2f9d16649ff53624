"""A stub of a Tower with one terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.stub import Stub, stub_tower


@pytest.fixture
async def tower(tmp_path: Path) -> AsyncIterator[Stub]:
    async with stub_tower(tmp_path / "state") as stub:
        stub.agent({"id": "t1", "position": ""})
        yield stub
