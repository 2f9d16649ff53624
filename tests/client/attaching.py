"""An attachment to a stub of a Tower."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from afx.client.attach import Attachment, Ending, Target
from afx.client.keys import DetachKeys
from client.stub import Call, FakeConsole, Stub

KEYS = (ord("\\"), ord("\\"))


def attachment(
    tower: Stub,
    console: FakeConsole,
    *,
    position: str = "",
    read_only: bool = False,
    stay: bool | None = False,
    since: str = "",
) -> Attachment:
    target = Target("a1", "builder/fix", "t1", position)
    return Attachment(
        tower.home, target, console, DetachKeys(KEYS), read_only=read_only, stay=stay, since=since
    )


async def finish(attached: Attachment) -> Ending:
    async with asyncio.timeout(10):
        return await attached.run()


async def prompt(call: Call) -> None:
    """A terminal that waits for input, and takes all of it."""
    await call.hello(0)
    await call.put(b"$ ")
    await call.listen()


def prompt_to(heard: asyncio.Queue[object]) -> Callable[[Call], Awaitable[None]]:
    """Return a terminal as `prompt`, whose input can be waited for."""

    async def script(call: Call) -> None:
        await call.hello(0)
        await call.put(b"$ ")
        async for message in call.socket:
            heard.put_nowait(message)

    return script
