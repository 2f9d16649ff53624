"""How conversations of OpenCode are resumed by an id, and how the id that the program chose becomes known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

import anyio.to_thread

from afx.plugin import ConversationId, Evidence, HarnessSession, Launched, Place, Transcript

from . import database

_ID = re.compile(r"ses_[0-9A-Za-z]{8,64}")

# Clocks of the program and of the Tower are the same; the launch is noted a moment after it began.
_SLACK = 2.0


class OpenCodeSession(HarnessSession):
    """Conversations named by the program, each a row of its database."""

    mints_ids = False

    def new_session_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return nothing: the program cannot be told the id of a new conversation."""
        del session_id
        return ()

    def resume_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that resume the conversation of this id."""
        return ("--session", session_id)

    def is_id(self, text: str) -> bool:
        """Tell whether `text` has the form of the program's ids."""
        return _ID.fullmatch(text) is not None

    async def verify(self, session_id: ConversationId, place: Place) -> Evidence:
        """Look for the conversation's row. One of another directory would take the program there: MISSING."""
        if not self.is_id(session_id):
            return Evidence.MISSING
        try:
            found = await anyio.to_thread.run_sync(database.find, place, session_id, abandon_on_cancel=True)
        except database.UnreadableError:
            return Evidence.UNKNOWN
        return Evidence.FOUND if found is not None and found.is_of(place) else Evidence.MISSING

    async def describe(self, session_id: ConversationId, place: Place) -> Transcript | None:
        """Return what is known of a conversation."""
        if not self.is_id(session_id):
            return None
        return await anyio.to_thread.run_sync(_describe, session_id, place, abandon_on_cancel=True)

    async def discover(self, place: Place) -> Sequence[Transcript]:
        """Return the conversations that a person began in exactly this directory, newest first."""
        return await anyio.to_thread.run_sync(_discover, place, abandon_on_cancel=True)

    async def capture(self, launched: Launched) -> ConversationId | None:
        """Return the only conversation that began here since the launch; with the first message it begins."""
        try:
            found = await anyio.to_thread.run_sync(
                database.of_directory, launched.place, abandon_on_cancel=True
            )
        except database.UnreadableError:
            return None
        began = [
            one.id
            for one in found
            if one.began_at >= launched.at - _SLACK and one.id not in launched.taken and self.is_id(one.id)
        ]
        return began[0] if len(began) == 1 else None


def _describe(session_id: ConversationId, place: Place) -> Transcript | None:
    try:
        found = database.find(place, session_id)
    except database.UnreadableError:
        return None
    return None if found is None else _transcript(found, place)


def _discover(place: Place) -> list[Transcript]:
    try:
        return [_transcript(one, place) for one in database.of_directory(place)]
    except database.UnreadableError:
        return []


def _transcript(session: database.Session, place: Place) -> Transcript:
    first, last = "", ""
    with suppress(database.UnreadableError):
        first, last = database.first_and_last(place, session.id)
    return Transcript(
        session_id=session.id,
        path=str(database.path_of(place)),
        cwd=session.directory,
        began_at=session.began_at,
        modified_at=session.modified_at,
        first=first,
        last=last,
    )
