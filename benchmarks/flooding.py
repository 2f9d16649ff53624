"""Floods: the program that makes one, and how what came of it is judged to the byte."""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .producer import ECHO, END, GO, READY, piece_of, shown


def producer(kind: str, size: int) -> tuple[str, ...]:
    """Return the command of a flood: ``lines`` or ``frames``, of about `size` bytes; 0: without an end."""
    return (sys.executable, "-I", "-S", str(Path(__file__).with_name("producer.py")), kind, str(size))


class Flood(msgspec.Struct, frozen=True):
    """What came of a flood.

    Attributes:
        received: How many bytes.
        expected: How many there should have been.
        whole: Whether they were exactly the right ones.
        seconds: From the word to begin to the last byte.
    """

    received: int
    expected: int
    whole: bool
    seconds: float

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.received / self.seconds


def follow(kind: str, size: int, read: Callable[[], bytes], write: Callable[[bytes], None]) -> Flood:
    """Tell a producer to begin, read its flood to the end, and judge it."""
    head = b""
    while len(head) < len(READY):
        head += read()
    checksum, received = zlib.crc32(head), len(head)
    expected, wanted = _expected(kind, size)
    last = head
    began = time.perf_counter()
    write(GO)
    while received < wanted and not last.endswith(END):
        piece = read()
        checksum = zlib.crc32(piece, checksum)
        received += len(piece)
        last = (last + piece)[-len(END) :] if len(piece) < len(END) else piece[-len(END) :]
    seconds = time.perf_counter() - began
    return Flood(received, wanted, checksum == expected and received == wanted, seconds)


def _expected(kind: str, size: int) -> tuple[int, int]:
    """Return checksum and length of everything that a terminal shows of a flood."""
    count = size // len(piece_of(kind))
    piece = shown(kind)
    checksum = zlib.crc32(READY + ECHO)
    for _ in range(count):
        checksum = zlib.crc32(piece, checksum)
    return zlib.crc32(END, checksum), len(READY + ECHO + END) + count * len(piece)


@contextmanager
def helper(module: str, arguments: Sequence[str]) -> Iterator[None]:
    """Run a module of this package that works beside, from when it says so until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.{module}", *arguments],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError(f"{module} did not begin.")
            yield
        finally:
            process.kill() if process.stdin is None else process.stdin.close()
            process.wait(10)
