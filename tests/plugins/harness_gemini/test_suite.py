"""The suite that every harness passes, with chats as Gemini CLI writes them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from afx.plugin import HarnessProvider, Place
from afx.testing.harness_suite import HarnessSuite
from afx_harness_gemini.provider import GeminiHarness

BEGAN = "2026-11-21T10:58:30.000Z"


class TestGemini(HarnessSuite):
    def harness(self) -> HarnessProvider:
        return GeminiHarness()

    def record(self, place: Place, session_id: str) -> Path:
        cwd = str(place.cwd.resolve())
        home = Path(place.env["HOME"], ".gemini")
        hashed = sha256(cwd.encode()).hexdigest()
        path = home / f"tmp/{hashed[:12]}/chats/session-2026-11-21T11-04-{session_id[:8]}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        register = home / "projects.json"
        known = json.loads(register.read_bytes())["projects"] if register.exists() else {}
        register.write_text(json.dumps({"projects": {**known, cwd: hashed[:12]}}))
        lines = [
            {"sessionId": session_id, "projectHash": hashed, "startTime": BEGAN, "kind": "main"},
            {"id": "1", "timestamp": BEGAN, "type": "user", "content": [{"text": "Hello."}]},
            {"id": "2", "timestamp": BEGAN, "type": "gemini", "content": "Hello."},
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path
