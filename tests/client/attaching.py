"""An attachment to a stub of a Tower."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from afx.client.attach import Attachment, Ending, Target
from afx.client.keys import DetachKeys
from client.stub import Call, FakeConsole, Stub

KEYS = (ord("\\"), ord("\\"))


async def attach(
    tower: Stub, console: FakeConsole, *, position: str = "", stay: bool | None = False, **more: Any
) -> Ending:
    """Be attached to the terminal t1 until that ends, and the Tower has heard all that was sent."""
    target = Target("a1", "builder/fix", "t1", position)
    attachment = Attachment(tower.home, target, console, DetachKeys(KEYS), stay=stay, **more)
    async with asyncio.timeout(10):
        ending = await attachment.run()
        for call in tower.calls:
            await call.over.wait()
    return ending


@asynccontextmanager
async def attached(tower: Stub, console: FakeConsole, **how: Any) -> AsyncIterator[asyncio.Task[Ending]]:
    """`attach` meanwhile, and be through with it at the end of the block."""
    async with asyncio.TaskGroup() as group:
        yield group.create_task(attach(tower, console, **how))


async def prompt(call: Call) -> None:
    """A terminal that waits for input, and takes all of it."""
    await call.hello(0)
    await call.put(b"$ ")
    await call.listen()
