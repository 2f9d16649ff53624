"""How conversations of Codex are resumed by an id, and how the id of a new one is learnt.

The program chooses ids itself, so that of a new conversation is captured: from the rollout that the process
has open, or where that cannot be seen, from the only rollout that can be meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
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
    is_uuid,
)

from . import processes, rollouts

RESUME = "resume"
"""The program's command that resumes a conversation."""

# A rollout's times are those of the program's clock, in milliseconds.
_SLACK = 1.0
# Of the newest ones, so that a person with years of rollouts gets an answer.
_MOST_LOOKED_INTO = 2000


class CodexSession(HarnessSession):
    """Conversations named by UUIDs, each with a rollout from its first turn on."""

    mints_ids = False

    def new_session_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return nothing: the program cannot be told an id."""
        del session_id
        return ()

    def resume_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the command that resumes the conversation of this id; options may follow it."""
        return (RESUME, session_id)

    def is_id(self, text: str) -> bool:
        """Tell whether `text` is a UUID in its usual form. The program takes all else for a name."""
        return is_uuid(text)

    async def verify(self, session_id: ConversationId, place: Place) -> Evidence:
        """Look for a rollout of this id whose beginning can be read.

        Begun in another directory it is UNKNOWN, though the program does resume it from anywhere; so is one
        that was packed, that was put away in the archive, or in which nobody said a word.
        """
        if not self.is_id(session_id):
            return Evidence.MISSING
        return await anyio.to_thread.run_sync(_look, session_id, place, abandon_on_cancel=True)

    async def describe(self, session_id: ConversationId, place: Place) -> Transcript | None:
        """Return the rollout of a conversation, wherever that was begun."""
        if not self.is_id(session_id):
            return None
        return await anyio.to_thread.run_sync(_describe, session_id, place, abandon_on_cancel=True)

    async def discover(self, place: Place) -> Sequence[Transcript]:
        """Return the conversations that a person had in exactly `place.cwd`, newest first.

        What scripts ran there, and what the program began by itself for a part of its work, is left out.
        """
        return await anyio.to_thread.run_sync(_discover, place, abandon_on_cancel=True)

    async def capture(self, launched: Launched) -> ConversationId | None:
        """Return the id of the rollout that the process has open, once there is one.

        After a new conversation was begun in the same process it has several open; the newest is the one
        that it is in. Where open files cannot be seen, it is the only rollout that began in this directory
        since the launch and is nobody else's.
        """
        return await anyio.to_thread.run_sync(_capture, launched, abandon_on_cancel=True)

    async def held_by(self, session_id: ConversationId, place: Place) -> ProcessIdentity | None:
        """Return a process that has the rollout open."""
        del place
        if not self.is_id(session_id):
            return None
        return await anyio.to_thread.run_sync(processes.holder_of, session_id, abandon_on_cancel=True)


def _look(session_id: str, place: Place) -> Evidence:
    try:
        path = rollouts.find(session_id, place.env)
        if path is None:
            return Evidence.MISSING
        if not rollouts.is_readable(path):
            return Evidence.UNKNOWN
        origin = rollouts.read_origin(path)
        if origin is None or origin.id != session_id.lower():
            return Evidence.MISSING
        is_here = _is_of(origin, place.cwd) and rollouts.is_active(path, place.env)
        return Evidence.FOUND if is_here and rollouts.read_talk(path).last else Evidence.UNKNOWN
    except OSError:
        return Evidence.UNKNOWN


def _describe(session_id: str, place: Place) -> Transcript | None:
    path = rollouts.find(session_id, place.env)
    if path is None or not rollouts.is_readable(path):
        return None
    origin = rollouts.read_origin(path)
    return None if origin is None else _transcript(path, origin)


def _discover(place: Place) -> list[Transcript]:
    found = []
    for path in _newest(place):
        try:
            origin = rollouts.read_origin(path) if rollouts.is_readable(path) else None
            if origin is not None and origin.is_persons and _is_of(origin, place.cwd):
                found.append(_transcript(path, origin))
        except OSError:
            continue
    return sorted((one for one in found if one.last), key=lambda one: one.modified_at, reverse=True)


def _capture(launched: Launched) -> str | None:
    seen = processes.can_tell() and launched.process is not None
    if seen and launched.process is not None:
        paths = processes.open_in(launched.process)
    else:
        paths = _newest(launched.place)
    began: dict[str, float] = {}
    for path in paths:
        try:
            origin = rollouts.read_origin(path) if rollouts.is_readable(path) else None
        except OSError:
            continue
        if origin is None or not origin.is_persons or origin.id in launched.taken:
            continue
        if not seen and (origin.began_at is None or origin.began_at < launched.at - _SLACK):
            continue
        if seen or _is_of(origin, launched.place.cwd):
            began[origin.id] = origin.began_at or 0.0
    if not seen and len(began) > 1:
        return None
    return max(began, key=lambda one: began[one], default=None)


def _newest(place: Place) -> list[Path]:
    return list(islice(rollouts.rollouts(rollouts.home(place.env) / "sessions"), _MOST_LOOKED_INTO))


def _is_of(origin: rollouts.Origin, cwd: Path) -> bool:
    """Tell whether a conversation was begun in exactly `cwd`; the program keeps a link's name if told so."""
    return bool(origin.cwd) and Path(origin.cwd).resolve() == cwd.resolve()


def _transcript(path: Path, origin: rollouts.Origin) -> Transcript:
    status = path.stat()
    talk = rollouts.read_talk(path)
    return Transcript(
        session_id=origin.id,
        path=str(path),
        cwd=str(Path(origin.cwd).resolve()) if origin.cwd else "",
        began_at=origin.began_at,
        modified_at=status.st_mtime,
        size=status.st_size,
        first=talk.first,
        last=talk.last,
    )
