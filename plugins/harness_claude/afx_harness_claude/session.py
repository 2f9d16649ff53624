"""How conversations of Claude Code are begun and resumed by an id.

The program takes the id of a new conversation from its command line, so ids are minted here and known before
the first word is said.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import anyio.to_thread

from afx.plugin import ConversationId, Evidence, HarnessSession

from .transcripts import elsewhere, has_turn, transcript

# The program sets it for its children, so what the Tower inherited says nothing about an agent's own.
_NOT_INHERITED = "CLAUDE_CODE_PROJECT_DIR_NAME"


class ClaudeSession(HarnessSession):
    """Conversations named by UUIDs, each with a transcript in a file of that name."""

    mints_ids = True

    def new_session_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that begin a conversation under this id."""
        return ("--session-id", session_id)

    def resume_args(self, session_id: ConversationId) -> Sequence[str]:
        """Return the arguments that resume the conversation of this id."""
        return ("--resume", session_id)

    async def verify(self, session_id: ConversationId, cwd: Path) -> Evidence:
        """Look for a transcript of this id in which something was said.

        Found only under another directory it is UNKNOWN: newer programs resume it from anywhere, older ones
        from worktrees of the same repository.
        """
        if not _is_uuid(session_id):
            return Evidence.MISSING
        env = {name: value for name, value in os.environ.items() if name != _NOT_INHERITED}
        return await anyio.to_thread.run_sync(_look, session_id, cwd, env)


def _look(session_id: str, cwd: Path, env: dict[str, str]) -> Evidence:
    try:
        if has_turn(transcript(session_id, cwd, env)):
            return Evidence.FOUND
    except FileNotFoundError:
        pass
    except OSError:
        return Evidence.UNKNOWN
    try:
        others = elsewhere(session_id, cwd, env)
        return Evidence.UNKNOWN if any(has_turn(path) for path in others) else Evidence.MISSING
    except OSError:
        return Evidence.UNKNOWN


def _is_uuid(text: str) -> bool:
    """Tell whether `text` has a UUID's usual form. Its case is kept by the program, and matters."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
