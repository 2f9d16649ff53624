"""The wire between the Tower and a holder, shared by both sides.

A frame is ``[type u8][length u32 big-endian][payload]``. The payload of DATA, INPUT and SHOW is raw bytes,
that of every other frame a JSON object in UTF-8. Fields only ever grow; unknown types and unknown fields are
ignored. A frame over 1 MiB, or one that cannot be read, ends the connection it came on and nothing else.

=============  ==  ========================  ==========================================================
frame           n  from                      fields
=============  ==  ========================  ==========================================================
HELLO           1  Tower, onlooker, pipe     version, client ("tower", "terminal", "pipe"), since, tail,
                                             unseen; a "pipe" hands its descriptor over with it
WELCOME         2  holder                    version, pid, pid_start, terminal_id, agent_id, label, epoch,
                                             start, offset, cols, rows, started_at, last_output_at, child,
                                             exit, resumed, release, piped
REPLAY          3  holder, to onlookers      epoch, offset, prologue (base64)
DATA            4  holder, to onlookers      raw output
INPUT           5  both clients              raw input
RESIZE          6  both clients              cols, rows, request
RESIZED         7  holder                    cols, rows, request (to the one who asked)
SIGNAL          8  both clients              number
SPAWN           9  Tower                     argv, env, cwd, nofile
RESPAWNED      10  holder                    pid, start
SPAWN_FAILED   11  holder                    message, hint
EXIT           12  holder                    code, signal, at
ACK            13  Tower                     at
ACTIVITY       14  holder, to the Tower      at, offset
TERMINATE      15  Tower                     grace (seconds)
GONE           16  holder                    (none)
PING           17  both clients              anything
PONG           18  holder                    what the PING held
LAUNCH         19  Tower, to a newborn       directory, terminal_id, agent_id, label, cols, rows, scrollback,
                                             argv, env, cwd, nofile, husk_after, unnoticed_after,
                                             check_every, release
SHOW           20  Tower                     raw output, taken for the program's while none runs
PIPE           21  holder, to the Tower      laid: whether output still comes
=============  ==  ========================  ==========================================================
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, Final

VERSION: Final = 1
"""The version spoken here. On a connection the smaller one of both sides' versions is spoken."""

MAX_PAYLOAD: Final = 1 << 20
PIECE: Final = 1 << 16
"""Raw bytes are sent in pieces of at most this many."""

HEADER: Final = struct.Struct("!BI")

HELLO: Final = 1
WELCOME: Final = 2
REPLAY: Final = 3
DATA: Final = 4
INPUT: Final = 5
RESIZE: Final = 6
RESIZED: Final = 7
SIGNAL: Final = 8
SPAWN: Final = 9
RESPAWNED: Final = 10
SPAWN_FAILED: Final = 11
EXIT: Final = 12
ACK: Final = 13
ACTIVITY: Final = 14
TERMINATE: Final = 15
GONE: Final = 16
PING: Final = 17
PONG: Final = 18
LAUNCH: Final = 19
SHOW: Final = 20
PIPE: Final = 21

Fields = dict[str, Any]

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


class FrameError(ValueError):
    """What came over the wire cannot be read. The connection it came on is of no more use."""


def raw(kind: int, payload: bytes) -> bytes:
    """Return a frame of raw bytes."""
    return HEADER.pack(kind, len(payload)) + payload


def control(kind: int, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Return a control frame with these fields."""
    return raw(kind, _encode(fields).encode("ascii"))


def fields_of(payload: bytes) -> Fields:
    """Return the fields of a control frame.

    Raises:
        FrameError: It is no JSON object.
    """
    try:
        # Decoded here: for other bytes than UTF-8, `json` would import a codec that may be gone by now.
        fields = json.loads(payload.decode("utf-8")) if payload else {}
    except (ValueError, RecursionError) as error:
        raise FrameError("a control frame is not JSON") from error
    if not isinstance(fields, dict):
        raise FrameError("a control frame is not a JSON object")
    return fields


def number(fields: Fields, name: str, least: int, most: int) -> int:
    """Return a whole number out of the fields of a frame.

    Raises:
        FrameError: It is missing, of another type, or outside of [least, most].
    """
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FrameError(f"{name} is not a number from {least} to {most}")
    return value


def text(fields: Fields, name: str) -> str:
    """Return a string out of the fields of a frame.

    Raises:
        FrameError: It is missing or of another type.
    """
    value = fields.get(name)
    if not isinstance(value, str):
        raise FrameError(f"{name} is not a string")
    return value


def seconds(fields: Fields, name: str, default: float) -> float:
    """Return a duration out of the fields of a frame, `default` where it is missing.

    Raises:
        FrameError: It is not a number of seconds.
    """
    value = fields.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
        raise FrameError(f"{name} is not a number of seconds")
    return float(value)


class Decoder:
    """Cuts a stream of bytes, however it was split on its way, back into frames.

    Args:
        passed_on: A kind of frames whose payload is yielded part by part as it comes, none of it held back.
    """

    def __init__(self, passed_on: int | None = None) -> None:
        self._passed_on = passed_on
        self._passing = 0
        """How much of the payload of such a frame is still to come."""
        self._rest = bytearray()
        self._needed = 0
        """How many bytes the frame has that `_rest` is the beginning of, as far as is known."""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the type and payload of each frame that is complete with `data`.

        It has to be exhausted before it is called again.

        Raises:
            FrameError: A frame is too large. Those before it were yielded.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        begin = 0
        if self._passing and data and self._passed_on is not None:
            begin = min(self._passing, len(data))
            self._passing -= begin
            yield self._passed_on, data[:begin]
        self._needed = HEADER.size
        while len(data) - begin >= HEADER.size:
            kind, length = HEADER.unpack_from(data, begin)
            if length > MAX_PAYLOAD:
                raise FrameError(f"a frame of {length} bytes is over the limit of {MAX_PAYLOAD}")
            end = begin + HEADER.size + length
            if end > len(data) and kind == self._passed_on:
                self._passing = end - len(data)
                if part := data[begin + HEADER.size :]:
                    yield kind, part
                return
            if end > len(data):
                self._needed = end - begin
                break
            yield kind, data[begin + HEADER.size : end]
            begin = end
        self._rest += data[begin:]
