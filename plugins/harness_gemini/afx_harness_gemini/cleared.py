"""Which conversation a running Gemini CLI is in, after a person began another one there with `/clear`.

The program has no record of that. But it logs what is typed, in `logs.json` of the project's directory, and
it does so under the id that it was started with for as long as it runs. So the chat that began just after a
logged `/clear`, and that begins with the words that were logged next, is the one. Seen of 0.61.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from afx.plugin import Place

from . import chats

_COMMAND = "/clear"
_LARGEST = 64 << 20
# Between the command's being logged and the beginning of the chat lies less than a second.
_SOON = 10.0
_SLACK = 0.5


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that was typed."""

    session_id: str = ""
    type: str = ""
    message: str = ""
    timestamp: str = ""


_decoder = msgspec.json.Decoder(list[_Entry])


def current(started_with: str, since: float, place: Place) -> str | None:
    """Return the id of the conversation that was begun last by `/clear`, or None where none is certain.

    Args:
        started_with: The id that the process was started with.
        since: When that was.
        place: Where it runs.

    Raises:
        OSError: A directory or the register is there and cannot be read.
    """
    typed = sorted(
        (at, entry.message)
        for entry in _log(place)
        if entry.session_id == started_with
        and entry.type == "user"
        and (at := chats.time_of(entry.timestamp)) is not None
        and at >= since
    )
    cleared = max((at for at, message in typed if message.strip() == _COMMAND), default=None)
    if cleared is None:
        return None
    words = (chats.one_line(message) for at, message in typed if at > cleared)
    first = next((line for line in words if not line.startswith("/")), None)
    found = {
        chat.id
        for path in chats.chat_files(place.cwd, place.env)
        if (chat := _read(path)) is not None
        and chat.is_main
        and chat.has_turn
        and chat.began_at is not None
        and cleared - _SLACK <= chat.began_at <= cleared + _SOON
        and chat.first == first
    }
    return found.pop() if len(found) == 1 else None


def _log(place: Place) -> list[_Entry]:
    entries: list[_Entry] = []
    for directory in chats.project_directories(place.cwd, place.env):
        path = directory / "logs.json"
        with suppress(FileNotFoundError, msgspec.DecodeError):
            if path.stat().st_size <= _LARGEST:
                entries += _decoder.decode(path.read_bytes())
    return entries


def _read(path: Path) -> chats.Chat | None:
    try:
        return chats.read(path)
    except OSError:
        return None
