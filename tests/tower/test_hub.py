"""Several onlookers of one terminal: whose size, whose answers, and messages apart from typing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from afx.api.model import Exit, Position, Size
from afx.api.strategy import Connection, Notice, Reset, TerminalFacts, Watch, WatchItem
from afx.testing.clock import FakeClock
from afx.tower import hub as hub_module
from afx.tower.hub import TerminalHub

WIDE, NARROW = Size(200, 50), Size(40, 20)


@pytest.fixture
def anyio_backend(fake_clock: FakeClock) -> object:
    return fake_clock.backend


class OpenWatch(Watch):
    end = Position("e", 0)

    async def receive(self) -> WatchItem:
        return Reset(self.end)

    async def aclose(self) -> None:
        pass


class RecordingConnection(Connection):
    """A terminal that remembers what was typed, and whose size changes at once."""

    def __init__(self) -> None:
        self.typed: list[bytes] = []
        self.sizes: list[Size] = [Size()]
        self.slow = False
        self.echoes = True
        self.output = b""

    @property
    def facts(self) -> TerminalFacts:
        return TerminalFacts(process=None, size=self.sizes[-1], end=Position("e", len(self.output)))

    def notices(self) -> AsyncIterator[Notice]:
        raise NotImplementedError

    async def watch(self, since: Position | None = None, *, tail: int | None = None) -> Watch:
        del since, tail
        return OpenWatch()

    async def glance(self, tail: int) -> bytes:
        return self.output[-tail:]

    async def write(self, data: bytes) -> None:
        if self.slow:
            await anyio.lowlevel.checkpoint()
        self.typed.append(data)
        if self.echoes:
            self.output += data

    async def resize(self, size: Size) -> None:
        self.sizes.append(size)

    async def signal(self, number: int) -> None:
        raise NotImplementedError

    async def acknowledge(self, end: Exit) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


@pytest.fixture
def connection() -> RecordingConnection:
    return RecordingConnection()


@pytest.fixture
def hub(connection: RecordingConnection) -> TerminalHub:
    return TerminalHub("t", connection)


async def test_the_first_window_sets_the_size_and_the_next_does_not_lesson_36(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    await hub.join(size=WIDE)
    await hub.join(size=NARROW)
    assert connection.sizes[1:] == [WIDE]


async def test_who_types_sets_the_size_lesson_36(hub: TerminalHub, connection: RecordingConnection) -> None:
    wide, narrow = await hub.join(size=WIDE), await hub.join(size=NARROW)
    await narrow.type(b"x")
    await narrow.type(b"y")
    await wide.type(b"z")
    assert connection.sizes[1:] == [WIDE, NARROW, WIDE]


async def test_only_the_leaders_window_counts_when_it_changes_lesson_36(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    leader, other = await hub.join(size=WIDE), await hub.join(size=NARROW)
    await other.resize(Size(10, 10))
    assert connection.sizes[1:] == [WIDE]
    await leader.resize(Size(90, 30))
    assert connection.sizes[1:] == [WIDE, Size(90, 30)]


async def test_one_who_opens_a_window_later_leads_where_nobody_does(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    onlooker = await hub.join()
    await onlooker.resize(WIDE)
    assert connection.sizes[-1] == WIDE
    assert hub.leader is onlooker


async def test_when_the_leader_leaves_the_latest_window_leads_lesson_36(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    leader, _ = await hub.join(size=WIDE), await hub.join(size=NARROW)
    await hub.join()
    await leader.aclose()
    assert connection.sizes[-1] == NARROW


async def test_one_without_a_window_changes_no_size(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    blind = await hub.join()
    await blind.type(b"ls\r")
    assert connection.sizes == [Size()]
    assert connection.typed == [b"ls\r"]


@pytest.mark.parametrize(
    "report",
    [
        b"\x1b[?62;1;6c",
        b"\x1b[>0;276;0c",
        b"\x1b[12;40R",
        b"\x1b[0n",
        b"\x1b[?2026;2$y",
        b"\x1b[?1u",
        b"\x1b[I",
        b"\x1b[O",
        b"\x1b[8;24;80t",
        b"\x1b]11;rgb:0000/0000/0000\x1b\\",
        b"\x1b]10;rgb:ffff/ffff/ffff\x07",
        b"\x1bP1$r0m\x1b\\",
        b"\x1bP>|xterm(388)\x1b\\",
        b"\x1b[?62c\x1b[1;1R",
    ],
)
async def test_only_the_leader_answers_queries_and_no_answer_takes_the_lead_lesson_37(
    hub: TerminalHub, connection: RecordingConnection, report: bytes
) -> None:
    leader, other = await hub.join(size=WIDE), await hub.join(size=NARROW)
    await other.type(report)
    assert connection.typed == []
    await leader.type(report)
    assert connection.typed == [report]
    assert connection.sizes[1:] == [WIDE]


@pytest.mark.parametrize(
    "keys", [b"\x1b", b"\x1b[A", b"\x1bOP", b"\x1b[200~c\x1b[201~", b"\x1b[3~", b"c", b"R"]
)
async def test_keys_are_no_answers(hub: TerminalHub, connection: RecordingConnection, keys: bytes) -> None:
    await hub.join(size=WIDE)
    other = await hub.join(size=NARROW)
    await other.type(keys)
    assert connection.typed == [keys]


async def test_a_message_is_not_mixed_with_typing_lesson_38(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    connection.slow = True
    person = await hub.join(size=WIDE)

    async def type_along() -> None:
        for _ in range(20):
            await person.type(b"k")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(type_along)
        tasks.start_soon(hub.deliver, [b"message", b"\r"], 0.0)
    at = connection.typed.index(b"message")
    assert connection.typed[at + 1] == b"\r"
    assert connection.typed.count(b"k") == 20


async def test_enter_waits_until_the_program_has_shown_the_text_lesson_38(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    connection.echoes = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.deliver, [b"message", b"\r"], 0.0)
        await anyio.sleep(0.1)
        assert connection.typed == [b"message"]
        connection.output = b"what the program was drawing anyway: > "
        await anyio.sleep(0.1)
        assert connection.typed == [b"message"]
        connection.output += b"message"
    assert connection.typed == [b"message", b"\r"]


@pytest.mark.parametrize("swallowed", [0, 2])
async def test_enter_is_pressed_until_the_text_has_left_the_input_field_lesson_38(
    hub: TerminalHub, connection: RecordingConnection, monkeypatch: pytest.MonkeyPatch, swallowed: int
) -> None:
    monkeypatch.setattr(hub_module, "_ENTER_AGAIN", 0.05)

    def in_field(screen: str) -> bool:
        return "message" in screen and connection.typed.count(b"\r") <= swallowed

    await hub.deliver([b"message", b"\r"], 0.0, in_field)
    assert connection.typed == [b"message", *[b"\r"] * (1 + swallowed)]


@pytest.mark.parametrize("enters", [1, 2])
async def test_enter_is_not_pressed_for_ever(
    hub: TerminalHub, connection: RecordingConnection, monkeypatch: pytest.MonkeyPatch, enters: int
) -> None:
    monkeypatch.setattr(hub_module, "_ENTER_AGAIN", 0.01)
    await hub.deliver([b"message", *[b"\r"] * enters], 0.0, bool)
    assert connection.typed == [b"message", *[b"\r"] * (enters + 5)], "only the last part is typed again"


async def test_enter_is_pressed_once_where_the_input_field_cannot_be_seen(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    await hub.deliver([b"message", b"\r"], 0.0, lambda _: False)
    assert connection.typed == [b"message", b"\r"]


async def test_enter_is_pressed_once_where_the_harness_makes_a_mistake(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    def broken(screen: str) -> bool:
        raise ValueError(screen)

    await hub.deliver([b"message", b"\r"], 0.0, broken)
    assert connection.typed == [b"message", b"\r"]


@pytest.mark.parametrize(
    ("typed", "drafting"),
    [(b"half a sen", True), (b"whole\r", False), (b"\x03", False), (b"\x15", False), (b"\n", False)],
)
async def test_a_persons_draft_is_known_lesson_38(hub: TerminalHub, typed: bytes, *, drafting: bool) -> None:
    person = await hub.join(size=WIDE)
    assert not hub.has_draft
    await person.type(typed)
    assert hub.has_draft is drafting


@pytest.mark.parametrize(
    "keys", [b"\x1b[A", b"\x1bOB", b"\x1b[<64;10;20M", b"\x1b[M !!", b"\x1b[3~", b"\x1b[I", b"\x1b"]
)
async def test_keys_without_text_are_no_draft_lesson_38(hub: TerminalHub, keys: bytes) -> None:
    person = await hub.join(size=WIDE)
    await person.type(keys)
    assert not hub.has_draft
    await person.type(b"text")
    await person.type(keys)
    assert hub.has_draft, "nor do they end one"


async def test_what_an_earlier_process_left_on_the_screen_is_not_the_new_ones_lesson_38(
    hub: TerminalHub, connection: RecordingConnection
) -> None:
    connection.output = b"> Type your message"
    assert (await hub.screen()).rstrip() == "> Type your message"
    hub.note_start()
    assert (await hub.screen()).strip() == ""
    connection.output += b"\x1b[H\x1b[2Jcoming up"
    assert (await hub.screen()).rstrip() == "coming up"
