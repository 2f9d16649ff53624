"""Waiting for a killed program to be gone: the native one dies a moment after what started it."""

from __future__ import annotations

import anyio

from afx.plugin import HarnessSession, Place


async def until_let_go(session: HarnessSession, name: str, place: Place) -> None:
    with anyio.fail_after(10):
        while await session.held_by(name, place) is not None:  # noqa: ASYNC110  (there is no event)
            await anyio.sleep(0.02)
