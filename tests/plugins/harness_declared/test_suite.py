"""The suite that every harness passes, with declared harnesses of each sort."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from afx.plugin import HarnessContext, HarnessProvider, Place
from afx.testing.harness_suite import HarnessSuite
from afx_harness_declared.provider import DeclaredHarness

SETTINGS: dict[str, Any] = {
    "command": "foo",
    "role": ["--role", "{role_file}"],
    "task": ["--", "{task_file}"],
    "new": ["--id", "{session_id}"],
    "resume": ["--resume", "{session_id}"],
    "unattended": ["--yes", "--mode never-ask"],
    "transcripts": {"files": "~/.foo/{cwd_dashes}/{session_id}.jsonl", "cwd": {"json": "cwd"}},
}


class TestOneThatMints(HarnessSuite):
    settings: ClassVar[dict[str, Any]] = SETTINGS

    def harness(self) -> HarnessProvider:
        return DeclaredHarness(HarnessContext(name="foo", settings=self.settings))

    def record(self, place: Place, session_id: str) -> Path:
        cwd = str(place.cwd.resolve())
        name = re.sub(r"[^A-Za-z0-9]", "-", cwd)
        path = Path(place.env["HOME"], ".foo", name, f"{session_id}.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"cwd": cwd}) + "\n")
        return path


class TestOneThatCaptures(TestOneThatMints):
    settings: ClassVar[dict[str, Any]] = {name: value for name, value in SETTINGS.items() if name != "new"}

    def new_id(self) -> str:
        return str(uuid4())


class TestOneWithoutConversations(HarnessSuite):
    has_session = False

    def harness(self) -> HarnessProvider:
        return DeclaredHarness(
            HarnessContext(name="foo", settings={"command": "foo", "task": ["-t={task_file}"]})
        )
