"""The documents say what is so: the reference is the code's, nothing is left out, and every snippet runs."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import afx.plugin
from afx.api.hookspecs import AfxSpecs, EventKind, TerminalEvent
from afx.api.model import AgentState
from afx.doctor.machine import said_by
from afx.loader import Plugins
from afx.settings import Settings
from distribution import write_distribution
from reference import PAGE, page
from scripts import write_script

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "plugin-authors/examples"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, below: str = "") -> Iterator[Any]:
    for path in sorted((DOCS / below).rglob("*.md")):
        for number, (found, text) in enumerate(BLOCK.findall(path.read_text())):
            if found == language:
                yield pytest.param(text, id=f"{path.relative_to(DOCS)}-{number}")


def test_the_reference_is_the_codes() -> None:
    assert PAGE.read_text() == page(), "The public face changed; if on purpose: python tests/reference.py"


def test_everything_that_is_public_is_named_and_nothing_else() -> None:
    named = list(afx.plugin.__all__)
    assert named == sorted(named, key=lambda name: (not name.isupper(), name))
    imported = {name for name, value in vars(afx.plugin).items() if name[0] != "_" and name != "api"}
    assert imported == set(named)


def test_every_error_code_is_documented() -> None:
    documented = set(
        re.findall(r"^\| `([a-z-]+)` \|", (DOCS / "reference/errors.md").read_text(), re.MULTILINE)
    )
    used = {
        code
        for path in (ROOT / "core").rglob("*.py")
        for code in re.findall(r'\bcode ?= ?"([a-z-]+)"', path.read_text())
    }
    used |= {
        code
        for path in (ROOT / "plugins").rglob("*.py")
        for code in re.findall(r'\bcode ?= ?"([a-z-]+)"', path.read_text())
    }
    assert documented == used


def test_every_kind_of_event_and_every_hook_is_documented() -> None:
    text = PAGE.read_text()
    assert all(f"`{kind.name}` = `'{kind.value}'`: " in text for kind in EventKind)
    hooks = [name for name in vars(AfxSpecs) if name.startswith("afx_")]
    assert len(hooks) >= 5
    assert all(f"#### `{name}(" in text for name in hooks)


def test_nothing_in_the_reference_is_a_name_without_words() -> None:
    headings = re.findall(r"^#{2,5} .*\n+(?=#|\Z)", PAGE.read_text(), re.MULTILINE)
    assert [heading.strip() for heading in headings if not heading.startswith("## ")] == []


@pytest.mark.parametrize("text", list(blocks("python", "plugin-authors")))
def test_every_snippet_runs_or_is_a_piece_of_a_tested_package(text: str, tmp_path: Path) -> None:
    if text.startswith(("from ", "import ", "#!")):
        path = tmp_path / "snippet.py"
        path.write_text(text)
        command = [sys.executable, "-W", "error", str(path)]
        subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    else:
        (shown,) = ast.parse(textwrap.dedent(text)).body
        assert ast.dump(shown) in {
            ast.dump(node)
            for path in EXAMPLES.rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.stmt)
        }


@pytest.mark.parametrize("text", [one for one in blocks("toml") if "\n[project" not in f"\n{one.values[0]}"])
def test_every_settings_snippet_can_be_used(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    settings = Settings.load(None, env={"AFX_CONFIG": str(path)})
    plugins = Plugins.load(settings=settings)
    for name in tomllib.loads(text).get("harness", {}):
        assert plugins.harness(name).name == name


def test_the_page_of_states_names_all() -> None:
    text = (DOCS / "reference/plugins.md").read_text()
    assert all(f"| `{state}` |" in text for state in ("active", "blocked", "incompatible", "broken"))


def an_event(kind: EventKind, reason: str = "It fell.") -> TerminalEvent:
    return TerminalEvent(
        kind=kind,
        agent_id="a",
        agent_name="builder/fix",
        workspace="/w",
        terminal_id="t",
        state=AgentState.CRASHED,
        reason=reason,
        at=1.0,
    )


def test_the_program_of_the_tutorial_says_its_version_as_programs_do(tmp_path: Path) -> None:
    (program,) = (
        text for _, text in BLOCK.findall((DOCS / "plugin-authors/index.md").read_text()) if text[:2] == "#!"
    )
    path = tmp_path / "foo"
    path.write_text(program)
    path.chmod(0o755)
    assert said_by(str(path), "--version") == "foo 1.0"


@pytest.fixture
def observers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """The two examples of the page about observers, installed as a person would."""
    text = (DOCS / "plugin-authors/observers.md").read_text()
    codes = [code for language, code in BLOCK.findall(text) if language == "python"]
    site = tmp_path / "site"
    for name, code in zip(("desktop", "webhook"), codes, strict=True):
        write_distribution(
            site, f"afx-observer-{name}", f"{name} = afx_observer_{name}", **{f"afx_observer_{name}": code}
        )
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    return Plugins.load(["afx"])


def test_the_examples_of_observers_do_what_they_say(
    observers: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = write_script(tmp_path / "bin/notify-send", f'printf "%s\\n" "$@" >> {tmp_path}/told')
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            monkeypatch.setenv("AFX_WEBHOOK", f"http://127.0.0.1:{server.server_port}/")
            observers.emit(an_event(EventKind.CRASHED, "-x"))
            observers.emit(an_event(EventKind.SPAWNED))
        finally:
            server.shutdown()
            thread.join()
    assert (tmp_path / "told").read_text() == "--app-name=afx\n--\nbuilder/fix: crashed\n-x\n"
    assert [body["kind"] for body in received] == ["crashed", "spawned"]
    assert received[0]["agent"] == "builder/fix"
