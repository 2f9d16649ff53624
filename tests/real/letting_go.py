"""Waiting for a killed program to be gone: the native one dies a moment after what started it."""

from __future__ import annotations

from pathlib import Path

import anyio

from afx.plugin import HarnessSession


async def until_let_go(session: HarnessSession, name: str, workspace: Path) -> None:
    with anyio.fail_after(10):
        while await session.held_by(name, workspace) is not None:  # noqa: ASYNC110  (there is no event)
            await anyio.sleep(0.02)
