"""Terminal output as lines of text, all at once or as it comes."""

from __future__ import annotations

import asyncio
import re
import sys

import click

_SEQUENCE = re.compile(
    r"\x1b\[?[0-?]*[ -/]*\Z|\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|\Z)|[ -/]*[0-~])", re.DOTALL
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LONGEST_LINE = 64 * 1024


def text_lines(output: bytes, *, whole: bool = False) -> list[str]:
    """Return terminal output as lines of text, without escape sequences and overwritten parts of lines.

    Args:
        output: The output.
        whole: Whether empty lines at the end count.
    """
    text = _SEQUENCE.sub("", output.decode("utf-8", "replace"))
    lines = []
    for line in text.split("\n"):
        parts = [part for part in line.split("\r") if part]
        lines.append(_CONTROL.sub("", parts[-1] if parts else "").rstrip())
    while not whole and lines and not lines[-1]:
        lines.pop()
    return lines


class LinesConsole:
    """A console for `afx.client.attach` that nobody types at, and that prints whole lines of text.

    Args:
        raw: Whether the output is written as it is.
    """

    typed = False
    screen = False

    def __init__(self, *, raw: bool) -> None:
        self.resized = asyncio.Event()
        self._raw = raw
        self._line = b""

    def size(self) -> None:
        """Return that there is none."""

    async def read(self) -> bytes:
        """Return the end of the input: there is nobody."""
        return b""

    async def write(self, data: bytes) -> None:
        """Print what is complete, and keep the rest of a line until its end comes.

        Raises:
            ConsoleClosedError: Nobody reads it any more.
        """
        from afx.client.console import ConsoleClosedError

        try:
            if self._raw:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            else:
                self._print(data)
        except BrokenPipeError as error:
            raise ConsoleClosedError(error.strerror) from None

    def say(self, sentence: str) -> None:
        """Print a line to standard error."""
        click.echo(sentence, err=True)

    def _print(self, data: bytes) -> None:
        complete, newline, rest = (self._line + data).rpartition(b"\n")
        if len(rest) > _LONGEST_LINE:
            complete, newline, rest = complete + newline + rest, b"\n", b""
        self._line = rest
        if newline:
            for line in text_lines(complete, whole=True):
                click.echo(line)
