"""The suite that every harness passes, with transcripts as Claude Code writes them."""

from __future__ import annotations

import json
from pathlib import Path

from afx.plugin import HarnessProvider, Place
from afx.testing.harness_suite import HarnessSuite
from afx_harness_claude.provider import ClaudeHarness
from afx_harness_claude.transcripts import transcript


class TestClaude(HarnessSuite):
    def harness(self) -> HarnessProvider:
        return ClaudeHarness()

    def record(self, place: Place, session_id: str) -> Path:
        path = transcript(session_id, place.cwd, dict(place.env))
        path.parent.mkdir(parents=True, exist_ok=True)
        cwd = str(place.cwd.resolve())
        said = [
            {
                "type": kind,
                "cwd": cwd,
                "sessionId": session_id,
                "message": {"role": kind, "content": "Hello."},
            }
            for kind in ("user", "assistant")
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in ({"type": "queue-operation"}, *said)))
        return path
