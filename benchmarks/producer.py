"""A program that floods its terminal: ``producer.py lines|frames BYTES``, or without an end for 0 bytes.

It says READY, waits for a line, writes, and says END. What a reader must have got is known to the byte. It is
run by path, and imports nothing that would slow its start.
"""

import os
import sys

READY = b"READY\r\n"
GO = b"go\n"
ECHO = b"go\r\n"
END = b"END\r\n"
LINES = b"y\n" * 4096
FRAME = b"".join(b"\x1b[%d;1H\x1b[3%dm%s" % (row, row % 8, b"#" * 78) for row in range(1, 25))


def piece_of(kind: str) -> bytes:
    """Return what is written again and again."""
    return LINES if kind == "lines" else FRAME


def shown(kind: str) -> bytes:
    """Return what a terminal makes of it."""
    return piece_of(kind).replace(b"\n", b"\r\n")


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def main() -> None:
    """Write so many pieces that they have about so many bytes."""
    kind, size = sys.argv[1], int(sys.argv[2])
    piece = piece_of(kind)
    _write(b"READY\n")
    sys.stdin.readline()
    count = size // len(piece)
    while count or not size:
        _write(piece)
        count -= 1
    _write(b"END\n")
    sys.stdin.readline()


if __name__ == "__main__":
    main()
