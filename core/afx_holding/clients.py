"""Those who are connected to a holder: the Tower, and onlookers who read output.

A client holds at most one frame of output that its socket did not take yet; everything else an onlooker lacks
stays in the ring, and its `Stream` knows from where. So memory does not grow with slow readers.
"""

from __future__ import annotations

import binascii
import socket
from collections import deque
from typing import Final

from . import frames
from .queries import whole_questions, without_questions
from .ring import Ring

ATTENTION: Final = 2.0
"""An onlooker that took nothing for so many seconds, though it is behind, holds nobody back any more."""
_LAPPED_TAIL: Final = 256 * 1024
"""So many bytes are shown again, at most, to an onlooker that fell behind the ring's start."""
_MOST_UNSENT: Final = 1 << 20
Piece = bytes | memoryview
_MOST_EVENTS: Final = 1000


class Stream:
    """Where in the output one onlooker is, and what it is sent next. Decides only; sends nothing."""

    def __init__(self, ring: Ring, since: str | None, tail: int | None, now: float) -> None:
        epoch, _, offset = (since or "").rpartition(":")
        wanted = int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 19 else -1
        self.resumed = epoch == ring.epoch and ring.start <= wanted <= ring.end
        self.position = wanted
        self.took_at = now
        self.alternate = False
        """Whether the last replay left the alternate screen on."""
        self._old_until = 0
        self._events: deque[tuple[int, bytes]] = deque()
        if not self.resumed:
            self._begin_anew(ring, tail)

    def tell(self, offset: int, frame: bytes) -> None:
        """Send a control frame as soon as all output up to `offset` was sent."""
        self._events.append((offset, frame))

    @property
    def overrun(self) -> bool:
        """Whether more was to be told than anybody who listens lets pile up."""
        return len(self._events) > _MOST_EVENTS

    def behind(self, ring: Ring) -> int:
        """Return how many bytes of output are still to be sent."""
        return ring.end - self.position

    def attentive(self, ring: Ring, now: float) -> bool:
        """Tell whether the onlooker reads, and so may set the pace."""
        return self.position >= ring.end or now - self.took_at < ATTENTION

    def next_frame(self, ring: Ring) -> tuple[bytes, Piece] | None:
        """Return the next frame, its head apart from its output; None where there is none now.

        The output is a view of the ring, to be let go of before anything is added there.
        """
        if self.position < ring.start:
            self._begin_anew(ring, min(_LAPPED_TAIL, ring.limit // 2))
        if self._events and self._events[0][0] <= self.position:
            return self._events.popleft()[1], b""
        waiting = ring.end - self.position
        if waiting <= 0:
            return None
        if self._events:
            waiting = self._events[0][0] - self.position
        piece: Piece = ring.view(self.position, min(waiting, frames.PIECE))
        if self.position < self._old_until:
            piece = self._without_old_questions(bytes(piece))
        self.position += len(piece)
        return frames.HEADER.pack(frames.DATA, len(piece)), piece

    def _begin_anew(self, ring: Ring, tail: int | None) -> None:
        replay = ring.replay(tail)
        self.position = replay.offset
        self.alternate = replay.alternate
        self._old_until = ring.end
        prologue = binascii.b2a_base64(replay.prologue, newline=False).decode("ascii")
        frame = frames.control(frames.REPLAY, epoch=ring.epoch, offset=replay.offset, prologue=prologue)
        self._events.appendleft((replay.offset, frame))

    def _without_old_questions(self, piece: bytes) -> bytes:
        old = self._old_until - self.position
        if len(piece) < old:
            return without_questions(piece[: whole_questions(piece)])
        return without_questions(piece[:old])


class Client:
    """One connection. It is `lost` once it ended or broke the rules; the holder then lets go of it."""

    def __init__(self) -> None:
        """Make one that is not connected yet, see `connect`."""
        self.connection: socket.socket
        self.descriptor = -1
        self.decoder = frames.Decoder()
        self.role: str | None = None
        """``tower`` or ``terminal`` once it said HELLO."""
        self.stream: Stream | None = None
        self.typed = False
        """Whether it ever sent input, so that it is the one to wait while the program does not read."""
        self.lost = False
        self.deaf = False
        """Whether it has closed its end. What it sent before that is still to be read."""
        self.unsent = bytearray()
        """What its socket takes no more of for now."""

    def connect(self, connection: socket.socket) -> None:
        """Talk over this connection from now on."""
        connection.setblocking(False)
        self.connection = connection
        self.descriptor = connection.fileno()

    def send(self, frame: bytes, output: Piece = b"") -> int:
        """Send a frame, or keep what its socket does not take now; return how many bytes it took.

        The output of a frame is given apart from the rest, so that nobody has to put the two together.
        """
        taken = 0 if self.unsent else self._give(frame, output)
        if self.deaf:
            return 0
        if taken < len(frame) + len(output):
            self.unsent += frame[taken:]
            self.unsent += output[max(0, taken - len(frame)) :]
            if len(self.unsent) > _MOST_UNSENT:
                self.lost = True
        return taken

    def flush(self) -> int:
        """Send what was kept, and return how many bytes the socket took."""
        taken = self._give(self.unsent) if self.unsent else 0
        del self.unsent[:taken]
        return taken

    def _give(self, frame: bytes | bytearray, output: Piece = b"") -> int:
        """Return how many bytes of these the socket took."""
        if self.lost or self.deaf:
            return 0
        try:
            return self.connection.sendmsg((frame, output)) if output else self.connection.send(frame)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            self.deaf = True
            self.unsent.clear()
            return 0
        except OSError:  # A time-out among them.
            self.lost = True
            return 0

    def send_refusal(self, message: str, hint: str = "") -> None:
        """Say that a program could not be started."""
        self.send(frames.control(frames.SPAWN_FAILED, message=message, hint=hint))

    def refuse(self, message: str, hint: str = "") -> None:
        """Say so as the last thing that is said; whoever asked may be gone."""
        self.connection.settimeout(1)
        self.send_refusal(message, hint)

    def pump(self, ring: Ring, now: float) -> None:
        """Send an onlooker what it lacks, for as long as its socket takes it, but not for too long."""
        stream = self.stream
        if stream is None or self.lost or self.deaf:
            return
        taken = self.flush()
        for _turn in range(8):
            if self.unsent:
                break
            frame = stream.next_frame(ring)
            if frame is None:
                break
            taken += self.send(*frame)
        if taken:
            stream.took_at = now
        if stream.overrun:
            self.lost = True

    def receive(self) -> bytes:
        """Return what came, empty where nothing did; an end makes it `lost`."""
        try:
            data = self.connection.recv(frames.PIECE)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self.lost = True
        return data
