"""One connected terminal and those who look at it.

The hub knows who of several onlookers sets the size, whose answers to terminal queries count, and keeps a
message to the agent apart from what a person types. The bytes themselves pass it by: each onlooker has a
`Watch` of its own, so that a slow one holds up nobody.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence

import anyio
import anyio.to_thread

from afx.api.errors import ConnectionLostError
from afx.api.model import Position, Size, TerminalId
from afx.api.strategy import Connection, TerminalFacts, Watch, WatchItem

from .echo import echoes
from .screen import shown

log = logging.getLogger("afx.hub")

# What a terminal sends by itself: answers to queries (cursor position, device attributes, modes, colours,
# settings, kitty flags) and focus reports. A person types none of it.
_REPORT = re.compile(
    rb"(?:\x1b\[(?:[?>=]?[0-9;:]*(?:[cRn]|\$y)|\?[0-9]+u|[IO]|[0-9;]+t)"
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    rb"|\x1b[P_][^\x1b]*\x1b\\)+"
)
# Arrows, function keys and the mouse, which leave no text behind.
_KEYS_WITHOUT_TEXT = re.compile(rb"\x1b\[M...|\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)|\x1b$", re.DOTALL)
_ENDS_DRAFT = b"\r\n\x03\x04\x15"
_DRAFT_PATIENCE = 60.0
_GLANCE = 32 * 1024
_ANSWERS_WITHIN = 3.0
_LOOK_AGAIN = 0.02
_ENTER_AGAIN = 1.0
_MOST_ENTERS = 5


def _no_draft(screen: str) -> bool:
    del screen
    return False


class Onlooker:
    """One who looks at a terminal, and may type into it.

    Attributes:
        size: The size of the onlooker's own window; None where it has none.
    """

    def __init__(self, hub: TerminalHub, watch: Watch, size: Size | None) -> None:
        self.size = size
        self._hub = hub
        self._watch = watch

    @property
    def end(self) -> Position:
        """Where the terminal's output ended when this onlooker came."""
        return self._watch.end

    async def receive(self) -> WatchItem:
        """Return the next piece of output or news, see `Watch.receive`."""
        return await self._watch.receive()

    async def type(self, data: bytes) -> None:
        """Type into the terminal. Who types sets the size.

        Raises:
            ConnectionLostError: It could not be delivered.
        """
        await self._hub.type(self, data)

    async def resize(self, size: Size) -> None:
        """Say that the onlooker's window has another size."""
        self.size = size
        if self._hub.leader is None:
            self._hub.leader = self
        if self._hub.leader is self:
            await self._hub.resize(size)

    async def aclose(self) -> None:
        """Look away."""
        await self._hub.leave(self)
        await self._watch.aclose()


class TerminalHub:
    """The Tower's hold on one terminal, shared by all who look at it.

    Attributes:
        leader: The onlooker whose window sets the terminal's size: who typed last, else who came first.
    """

    def __init__(
        self,
        terminal_id: TerminalId,
        connection: Connection,
        on_enter: Callable[[TerminalId], None] = lambda _: None,
    ) -> None:
        self.terminal_id = terminal_id
        self.connection = connection
        self._on_enter = on_enter
        self.leader: Onlooker | None = None
        self._onlookers: list[Onlooker] = []
        self._typing = anyio.Lock()
        self._draft_at: float | None = None
        self._began_at: int | None = None

    @property
    def facts(self) -> TerminalFacts:
        """What is known of the terminal now."""
        return self.connection.facts

    async def join(
        self, since: Position | None = None, *, tail: int | None = None, size: Size | None = None
    ) -> Onlooker:
        """Begin to look at the terminal.

        Raises:
            ConnectionLostError: It does not answer.
        """
        first = self.leader is None
        if first and size is not None:
            # Before the replay, so that a full-screen program's answer to the new size is part of it.
            await self.resize(size)
        watch = await self.connection.watch(since, tail=tail)
        onlooker = Onlooker(self, watch, size)
        self._onlookers.append(onlooker)
        if first and size is not None:
            self.leader = onlooker
        return onlooker

    async def leave(self, onlooker: Onlooker) -> None:
        """Take an onlooker away; the lead passes to the latest of the others that has a window."""
        if onlooker not in self._onlookers:
            return
        self._onlookers.remove(onlooker)
        if self.leader is onlooker:
            self.leader = next((other for other in reversed(self._onlookers) if other.size), None)
            if self.leader is not None and self.leader.size is not None:
                await self.resize(self.leader.size)

    async def type(self, onlooker: Onlooker, data: bytes) -> None:
        """Deliver what an onlooker sends.

        Of the answers to terminal queries only the leader's count, or the program would get one from
        each onlooker.

        Raises:
            ConnectionLostError: It could not be delivered.
        """
        if self.facts.exit is not None:
            # Nobody is there to read it. Enter asks for the agent to be started again.
            if b"\r" in data:
                self._on_enter(self.terminal_id)
            return
        if _REPORT.fullmatch(data):
            if self.leader is None or self.leader is onlooker:
                await self.connection.write(data)
            return
        async with self._typing:
            if onlooker.size is not None and self.leader is not onlooker:
                self.leader = onlooker
                await self.resize(onlooker.size)
            typed = _KEYS_WITHOUT_TEXT.sub(b"", data)
            if data[-1:] in _ENDS_DRAFT:
                self._draft_at = None
            elif typed:
                self._draft_at = time.monotonic()
            await self.connection.write(data)

    @property
    def has_draft(self) -> bool:
        """Whether a person seems to be in the middle of typing something."""
        return self._draft_at is not None and time.monotonic() - self._draft_at < _DRAFT_PATIENCE

    async def deliver(
        self, keystrokes: Sequence[bytes], pause: float, shows_draft: Callable[[str], bool] = _no_draft
    ) -> None:
        """Type a message, `pause` seconds between its parts. Whatever a person types meanwhile comes after.

        The pause after the first part begins once the program shows it: one that a busy machine holds up
        would else read all parts as one, and take the Enter at the end for a part of the text.

        Args:
            keystrokes: The parts.
            pause: In seconds.
            shows_draft: Tells from the screen whether the program's input field holds text. While it still
                does after the last part, that one is typed again, a few times.

        Raises:
            ConnectionLostError: It could not be delivered as a whole.
        """
        async with self._typing:
            first, *others = keystrokes
            if not others:
                await self.connection.write(first)
                return
            *between, last = others
            before, echoed = self.facts.end, await self._echoes(first)
            await self.connection.write(first)
            await self._until_echoed(first, before, echoed)
            for part in between:
                await anyio.sleep(pause)
                await self.connection.write(part)
            await anyio.sleep(pause)
            is_seen = await self._is_drafted(shows_draft)
            await self.connection.write(last)
            if is_seen:
                await self._until_submitted(last, shows_draft)

    async def _until_submitted(self, enter: bytes, shows_draft: Callable[[str], bool]) -> None:
        """Wait until the program's input field is empty, and press Enter again now and then meanwhile."""
        for _ in range(_MOST_ENTERS):
            with anyio.move_on_after(_ENTER_AGAIN):
                while await self._is_drafted(shows_draft):  # noqa: ASYNC110 - a screen tells of no change
                    await anyio.sleep(_LOOK_AGAIN)
                return
            await self.connection.write(enter)

    async def _is_drafted(self, shows_draft: Callable[[str], bool]) -> bool:
        """Ask whether the input field holds text. A harness's mistake must not have all of it typed again."""
        try:
            return shows_draft(await self._shown())
        except Exception:
            log.exception("Whether a message was submitted cannot be told.")
            return False

    async def _until_echoed(self, typed: bytes, before: Position, echoed: int) -> None:
        """Wait until more of it is on the screen; not for ever, as a program may show nothing of it."""
        with anyio.move_on_after(_ANSWERS_WITHIN):
            # The holder tells no more than where the output ends.
            while self.facts.end == before or await self._echoes(typed) <= echoed:  # noqa: ASYNC110
                await anyio.sleep(_LOOK_AGAIN)

    async def _echoes(self, typed: bytes) -> int:
        """Count how often the screen shows what was typed."""
        return echoes(typed, await self._shown())

    async def _shown(self) -> str:
        """Return what the screen shows; a terminal that does not answer shows nothing."""
        try:
            return await self.screen()
        except ConnectionLostError:
            return ""

    def note_start(self) -> None:
        """Note that another process is about to start; what is shown already is no longer its screen."""
        self._began_at = self.facts.end.offset

    async def screen(self) -> str:
        """Return what the process shows in the terminal, as text. The program does not notice.

        Raises:
            ConnectionLostError: The terminal does not answer.
        """
        tail = _GLANCE
        if self._began_at is not None:
            tail = min(tail, self.facts.end.offset - self._began_at)
        output = await self.connection.glance(tail) if tail > 0 else b""
        # In a thread of its own: it takes some milliseconds, for which nobody's keys should wait.
        return await anyio.to_thread.run_sync(shown, output, self.facts.size)

    async def show(self, text: str) -> None:
        """Put a line of afx's own on the screen of a terminal whose process has ended."""
        await self.connection.show(f"\r\n\x1b[0m\x1b[7m afx \x1b[0m {text}\r\n".encode())

    async def resize(self, size: Size) -> None:
        """Give the terminal another size, where it has not this one already."""
        if self.facts.size != size:
            await self.connection.resize(size)
