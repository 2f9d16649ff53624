"""How conversations of Gemini CLI are begun and resumed by an id.

The program takes the id of a new conversation from its command line, so ids are minted here and known before
the first word is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import anyio.to_thread

from afx.plugin import (
    ConversationId,
    Evidence,
    HarnessSession,
    Launched,
    Place,
    ProcessIdentity,
    Transcript,
    identify,
    is_alive,
    is_uuid,
)

from . import chats, cleared

_PROC = Path("/proc")
RESUME = "--resume"
"""The option by which a conversation is resumed."""

_NAMING = ("--session-id", RESUME, "-r")


class GeminiSession(HarnessSession):
    """Conversations named by UUIDs, of which each may have several files."""

    mints_ids = True

    def new_session_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that begin a conversation under this id."""
        return ("--session-id", session_id)

    def resume_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that resume the conversation of this id."""
        return (RESUME, session_id)

    def is_id(self, text: str) -> bool:
        """Tell whether `text` is a UUID in its usual form. The program takes other things for other names."""
        return is_uuid(text)

    async def verify(self, session_id: ConversationId, place: Place) -> Evidence:
        """Look for a chat of this id, in exactly this directory, in which something was said.

        Of any other the program says that it does not know it, or, as of one that was begun and in which
        nothing was said, both that it does not know it and that it has it already: MISSING.
        """
        if not self.is_id(session_id):
            return Evidence.MISSING
        try:
            found = await anyio.to_thread.run_sync(_find, session_id, place, abandon_on_cancel=True)
        except OSError:
            return Evidence.UNKNOWN
        return Evidence.FOUND if found is not None else Evidence.MISSING

    async def describe(self, session_id: ConversationId, place: Place) -> Transcript | None:
        """Return the newest chat of a conversation in which something was said."""
        if not self.is_id(session_id):
            return None
        return await anyio.to_thread.run_sync(_find, session_id, place, abandon_on_cancel=True)

    async def discover(self, place: Place) -> Sequence[Transcript]:
        """Return the conversations of exactly `place.cwd` in which something was said, newest first."""
        return await anyio.to_thread.run_sync(_discover, place, abandon_on_cancel=True)

    async def capture(self, launched: Launched) -> ConversationId | None:
        """Return the conversation that a person began in the program with `/clear`, if that is certain."""
        return await anyio.to_thread.run_sync(_captured, launched, abandon_on_cancel=True)

    async def held_by(self, session_id: ConversationId, place: Place) -> ProcessIdentity | None:
        """Return a process in a terminal that was started with this id. The program leaves no other trace.

        It outlives its terminal, and then nobody can speak with it any more: such a one does not count.
        """
        del place
        if not self.is_id(session_id):
            return None
        return await anyio.to_thread.run_sync(_started_with, session_id, abandon_on_cancel=True)


def _find(session_id: str, place: Place) -> Transcript | None:
    """Return the newest chat of an id; one that cannot be read raises OSError unless another is found."""
    trouble: OSError | None = None
    found: list[Transcript] = []
    for path in chats.chat_files(place.cwd, place.env):
        if not chats.is_named_for(path, session_id):
            continue
        try:
            found += [one for one in _transcripts(path, place.cwd) if one.session_id == session_id]
        except OSError as error:
            trouble = error
    if found:
        return max(found, key=lambda one: one.modified_at)
    if trouble is not None:
        raise trouble
    return None


def _discover(place: Place) -> list[Transcript]:
    newest: dict[str, Transcript] = {}
    for path in chats.chat_files(place.cwd, place.env):
        with suppress(OSError):
            for one in _transcripts(path, place.cwd):
                other = newest.get(one.session_id)
                if other is None or other.modified_at < one.modified_at:
                    newest[one.session_id] = one
    return sorted(newest.values(), key=lambda one: one.modified_at, reverse=True)


def _transcripts(path: Path, cwd: Path) -> list[Transcript]:
    """Return the chat of a file, if it is one of a person in exactly `cwd` that can be resumed."""
    chat = chats.read(path)
    real = str(cwd.resolve())
    if chat is None or not chat.is_main or not chat.has_turn or chat.project != chats.project_hash(real):
        return []
    status = path.stat()
    return [
        Transcript(
            session_id=chat.id,
            path=str(path),
            cwd=real,
            began_at=chat.began_at,
            modified_at=status.st_mtime,
            size=status.st_size,
            first=chat.first,
            last=chat.last,
        )
    ]


def _captured(launched: Launched) -> str | None:
    if launched.process is None:
        return None
    with suppress(OSError):
        argv = (_PROC / str(launched.process.pid) / "cmdline").read_bytes().decode("utf-8", "replace")
        named = _named_in(argv.split("\0"))
        if named is not None and is_alive(launched.process):
            return cleared.current(named, launched.at, launched.place)
    return None


def _started_with(session_id: str) -> ProcessIdentity | None:
    if not (_PROC / "self" / "cmdline").exists():
        return None
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            argv = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            if (
                _named_in(argv) == session_id
                and _has_terminal(entry)
                and (found := identify(int(entry.name)))
            ):
                return found
    return None


def _has_terminal(process: Path) -> bool:
    """Tell whether a process has a controlling terminal, by the seventh field of its status."""
    status = (process / "stat").read_bytes()
    # The second field is the program's name in parentheses, and may hold anything.
    return status[status.rindex(b")") + 1 :].split()[4] != b"0"


def _named_in(argv: Sequence[str]) -> str | None:
    """Return the id in the arguments of the program; None where there is none, or they are of another one."""
    if not any(Path(word).name in {"gemini", "gemini.js"} for word in argv[:4]):
        return None
    joined = (word.partition("=")[::2] for word in argv if "=" in word)
    return next((value for name, value in (*pairwise(argv), *joined) if name in _NAMING), None)
