"""The suite that every harness passes, with rollouts as Codex writes them."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

from afx.plugin import HarnessProvider, Place
from afx.testing.harness_suite import HarnessSuite
from afx_harness_codex.provider import CodexHarness

BEGAN = "2026-11-21T10:58:30.000Z"


class TestCodex(HarnessSuite):
    def harness(self) -> HarnessProvider:
        return CodexHarness()

    def new_id(self) -> str:
        return str(uuid4())

    def record(self, place: Place, session_id: str) -> Path:
        path = Path(
            place.env["HOME"], f".codex/sessions/2026/11/21/rollout-2026-11-21T10-58-30-{session_id}.jsonl"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = {
            "id": session_id,
            "session_id": session_id,
            "timestamp": BEGAN,
            "cwd": str(place.cwd.resolve()),
            "source": "cli",
        }
        said = [
            {"type": "message", "role": role, "content": [{"type": "input_text", "text": "Hello."}]}
            for role in ("user", "assistant")
        ]
        lines = [{"type": "session_meta", "payload": meta}]
        lines += [{"type": "response_item", "payload": one} for one in said]
        path.write_text("".join(json.dumps({"timestamp": BEGAN, **line}) + "\n" for line in lines))
        return path
