"""How conversations of a declared harness are begun, resumed and found."""

from __future__ import annotations

import json
from collections.abc import Sequence

import anyio
import anyio.to_thread

from afx.plugin import ConversationId, Evidence, HarnessSession, Launched, Place, Transcript

from .definition import Definition
from .transcripts import Found, UnreadableError, look, recorded_here

BEFORE = "conversations-before.json"
"""The file, in an agent's own directory, that tells which conversations were there before its launch."""


class DeclaredSession(HarnessSession):
    """Conversations as a definition describes them."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self.mints_ids = bool(definition.new)

    def mint(self) -> ConversationId:
        """Return an id for a new conversation, as the definition has it made."""
        return self._definition.minted()

    def is_id(self, text: str) -> bool:
        """Tell whether `text` has the form that the definition gives to ids."""
        return super().is_id(text) and self._definition.is_id(text)

    def new_session_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that begin a conversation under this id."""
        return [word.format(session_id=session_id) for word in self._definition.new]

    def resume_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that resume the conversation of this id."""
        return [word.format(session_id=session_id) for word in self._definition.resume]

    async def verify(self, session_id: ConversationId, place: Place) -> Evidence:
        """Look for a transcript of this id; where the definition names none, nothing is known."""
        transcripts = self._definition.transcripts
        if not self.is_id(session_id):
            return Evidence.MISSING
        if transcripts is None:
            return Evidence.UNKNOWN
        try:
            found = await anyio.to_thread.run_sync(
                look, transcripts, place, session_id, abandon_on_cancel=True
            )
        except UnreadableError:
            return Evidence.UNKNOWN
        if not found:
            return Evidence.MISSING
        if transcripts.anywhere or transcripts.cwd is None or any(one.is_of(place.cwd) for one in found):
            return Evidence.FOUND
        return Evidence.MISSING

    async def describe(self, session_id: ConversationId, place: Place) -> Transcript | None:
        """Return the newest transcript of a conversation."""
        if self._definition.transcripts is None or not self.is_id(session_id):
            return None
        try:
            found = await anyio.to_thread.run_sync(
                look, self._definition.transcripts, place, session_id, abandon_on_cancel=True
            )
        except UnreadableError:
            return None
        return found[0].transcript() if found else None

    async def discover(self, place: Place) -> Sequence[Transcript]:
        """Return the conversations that say that they were recorded for exactly this directory."""
        return [one.transcript() for one in await self._recorded_here(place)]

    async def capture(self, launched: Launched) -> ConversationId | None:
        """Return the id of the only conversation here that was not there before the launch."""
        try:
            before = set(json.loads(await anyio.Path(launched.directory, BEFORE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        there = {one.session_id for one in await self._recorded_here(launched.place)}
        fresh = there - before - launched.taken
        return fresh.pop() if len(fresh) == 1 else None

    def known_before(self, place: Place) -> str:
        """Return, for the file `BEFORE`, the ids that are there before a launch that gets none."""
        try:
            found = recorded_here(self._definition.transcripts, place)
        except UnreadableError:
            # Then nothing can be certain later, and what is no list says so.
            return "null"
        return json.dumps(sorted({one.session_id for one in found}))

    async def _recorded_here(self, place: Place) -> list[Found]:
        try:
            found = await anyio.to_thread.run_sync(
                recorded_here, self._definition.transcripts, place, abandon_on_cancel=True
            )
        except UnreadableError:
            return []
        return [one for one in found if self.is_id(one.session_id)]
