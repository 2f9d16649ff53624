"""What a holder says to the Tower, as the Tower reads it."""

from __future__ import annotations

import msgspec

from afx.plugin import Exit, Position, ProcessIdentity, Size, boot_id, identify


class Child(msgspec.Struct, frozen=True):
    """A process as the holder names it: pid, and when it began."""

    pid: int
    start: str | None = None

    def identity(self) -> ProcessIdentity | None:
        """Return who it is. A holder is of the same boot as whoever hears from it."""
        if self.start is None:
            return identify(self.pid)
        return ProcessIdentity(pid=self.pid, start=self.start, boot_id=boot_id())


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to HELLO and to LAUNCH."""

    version: int
    pid: int
    pid_start: str | None = None
    terminal_id: str
    agent_id: str
    label: str = ""
    epoch: str
    start: int
    offset: int
    cols: int
    rows: int
    started_at: float
    last_output_at: float | None = None
    child: Child | None = None
    exit: Exit | None = None
    resumed: bool = False
    release: str = ""
    piped: bool = True

    @property
    def end(self) -> Position:
        """Where the output ended when this was said."""
        return Position(self.epoch, self.offset)

    @property
    def holder(self) -> ProcessIdentity | None:
        """Who the holder is."""
        return Child(self.pid, self.pid_start).identity()


class ReplayBegins(msgspec.Struct, frozen=True):
    """The output begins anew at `offset`, after `prologue`."""

    epoch: str
    offset: int
    prologue: bytes = b""


class ActivitySeen(msgspec.Struct, frozen=True):
    """There is output up to `offset`."""

    at: float
    offset: int


class SizeSet(msgspec.Struct, frozen=True):
    """The terminal's size; `request` is the number of the RESIZE that this answers, if it does."""

    cols: int
    rows: int
    request: int | None = None

    @property
    def size(self) -> Size:
        """The size in the words of the API."""
        return Size(self.cols, self.rows)


class PipeSeen(msgspec.Struct, frozen=True):
    """Whether a pane's output still comes to its recorder."""

    laid: bool


class Refusal(msgspec.Struct, frozen=True):
    """A program could not be started."""

    message: str
    hint: str = ""


read_welcome = msgspec.json.Decoder(Welcome).decode
read_replay = msgspec.json.Decoder(ReplayBegins).decode
read_activity = msgspec.json.Decoder(ActivitySeen).decode
read_size = msgspec.json.Decoder(SizeSet).decode
read_pipe = msgspec.json.Decoder(PipeSeen).decode
read_child = msgspec.json.Decoder(Child).decode
read_exit = msgspec.json.Decoder(Exit).decode
read_refusal = msgspec.json.Decoder(Refusal).decode
