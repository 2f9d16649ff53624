"""How conversations of Claude Code are begun and resumed by an id.

The program takes the id of a new conversation from its command line, so ids are minted here and known before
the first word is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
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

from .running import holder, open_in
from .talk import Talk, has_turn, read_talk
from .transcripts import config_directory, elsewhere, project_directory, transcript

# So many of the newest transcripts of one directory are looked into.
_MOST_LOOKED_INTO = 100


class ClaudeSession(HarnessSession):
    """Conversations named by UUIDs, each with a transcript in a file of that name."""

    mints_ids = True

    def new_session_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that begin a conversation under this id."""
        return ("--session-id", session_id)

    def resume_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that resume the conversation of this id."""
        return ("--resume", session_id)

    async def verify(self, session_id: ConversationId, place: Place) -> Evidence:
        """Look for a transcript of this id in which something was said.

        Found only under another directory it is UNKNOWN: newer programs resume it from anywhere, older ones
        from worktrees of the same repository.
        """
        if not self.is_id(session_id):
            return Evidence.MISSING
        return await anyio.to_thread.run_sync(_look, session_id, place, abandon_on_cancel=True)

    def is_id(self, text: str) -> bool:
        """Tell whether `text` has a UUID's usual form. Its case is kept by the program, and matters."""
        return is_uuid(text)

    async def describe(self, session_id: ConversationId, place: Place) -> Transcript | None:
        """Return the transcript of a conversation, which may have been recorded for another directory.

        None where none is found that can be read and in which something was said.
        """
        if not self.is_id(session_id):
            return None
        return await anyio.to_thread.run_sync(_describe, session_id, place, abandon_on_cancel=True)

    async def discover(self, place: Place) -> Sequence[Transcript]:
        """Return the conversations begun in exactly `place.cwd`, the one that was last talked in first.

        Directories with names alike, such as ``a.b`` and ``a-b``, share one directory of transcripts, so the
        path that is recorded inside is what counts. Looks into the newest 100 files.
        """
        return await anyio.to_thread.run_sync(_discover, self, place, abandon_on_cancel=True)

    async def capture(self, launched: Launched) -> ConversationId | None:
        """Return the conversation that the program has open, by the record that it keeps of itself."""
        if launched.process is None:
            return None
        directory = config_directory(launched.place.env, launched.place.cwd)
        return await anyio.to_thread.run_sync(open_in, launched.process, directory, abandon_on_cancel=True)

    async def held_by(self, session_id: ConversationId, place: Place) -> ProcessIdentity | None:
        """Return a live process that has this conversation open, by the record that it keeps of itself."""
        if not self.is_id(session_id):
            return None
        directory = config_directory(place.env, place.cwd)
        return await anyio.to_thread.run_sync(holder, session_id, directory, abandon_on_cancel=True)


def _look(session_id: str, place: Place) -> Evidence:
    try:
        if has_turn(transcript(session_id, place.cwd, place.env)):
            return Evidence.FOUND
    except FileNotFoundError:
        pass
    except OSError:
        return Evidence.UNKNOWN
    try:
        others = elsewhere(session_id, place.cwd, place.env)
        return Evidence.UNKNOWN if any(has_turn(path) for path in others) else Evidence.MISSING
    except OSError:
        return Evidence.UNKNOWN


def _describe(session_id: str, place: Place) -> Transcript | None:
    paths = [transcript(session_id, place.cwd, place.env)]
    with suppress(OSError):
        paths += elsewhere(session_id, place.cwd, place.env)
    return next((found for path in paths if (found := _described(path)) is not None), None)


def _discover(session: ClaudeSession, place: Place) -> list[Transcript]:
    try:
        paths = list(project_directory(place.cwd, place.env).glob("*.jsonl"))
    except OSError:
        return []
    # Files of sub-agents are not named by a UUID.
    dated = [(_changed(path), path) for path in paths if session.is_id(path.stem)]
    newest = [path for _, path in sorted(dated, reverse=True)[:_MOST_LOOKED_INTO]]
    real = str(place.cwd.resolve())
    described = (_described(path) for path in newest)
    found = [one for one in described if one is not None and one.cwd == real]
    return sorted(found, key=lambda one: one.modified_at, reverse=True)


def _described(path: Path) -> Transcript | None:
    try:
        talk: Talk | None = read_talk(path)
    except OSError:
        return None
    if talk is None:
        return None
    return Transcript(
        session_id=path.stem,
        path=str(path),
        cwd=talk.cwd,
        began_at=talk.began_at,
        modified_at=talk.modified_at,
        size=talk.size,
        first=talk.first,
        last=talk.last,
    )


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0
