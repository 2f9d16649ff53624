"""Where chats lie in a test, and how they are put there."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from afx.plugin import Place
from plugins.session_tests import At, Write

from .written import CONTEXT, ID, SAID, head, lines, message


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "gemini home" / ".gemini"


@pytest.fixture
def at(home: Path) -> At:
    """Say where an agent works. Its environment is not the test's own."""
    return lambda cwd: Place(cwd=cwd, env={"GEMINI_CLI_HOME": str(home.parent)})


@pytest.fixture(params=["0.61", "0.38", "0.26", "unregistered"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def write(home: Path) -> Write:
    """Write a chat where a version of the program would, and what leads to it."""

    def write(
        cwd: Path,
        session_id: str = ID,
        *said: tuple[str, str],
        version: str = "0.61",
        minute: int = 4,
        content: str | None = None,
        kind: str = "main",
    ) -> Path:
        said = said or SAID
        slug = sha256(str(cwd).encode()).hexdigest() if version == "0.26" else f"slug-{len(str(cwd))}"
        directory = home / "tmp" / slug
        (directory / "chats").mkdir(parents=True, exist_ok=True)
        if version == "unregistered":
            (directory / ".project_root").write_text(str(cwd), encoding="utf-8")
        elif version != "0.26":
            register = home / "projects.json"
            known = json.loads(register.read_bytes())["projects"] if register.exists() else {}
            register.write_text(json.dumps({"projects": {**known, str(cwd): slug}}), encoding="utf-8")
        is_document = version in {"0.38", "0.26"}
        text = "\n".join(lines(cwd, session_id, *said, kind=kind)) + "\n"
        if is_document:
            messages = [message(*one) for one in (("user", CONTEXT), *said)]
            text = json.dumps({**head(cwd, session_id, kind), "messages": messages}, indent=2)
        name = f"session-2026-11-21T11-{minute:02}-{session_id[:8]}.json{'' if is_document else 'l'}"
        path = directory / "chats" / name
        path.write_text(text if content is None else content, encoding="utf-8")
        return path

    return write
