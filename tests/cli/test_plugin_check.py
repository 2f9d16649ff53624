"""`afx plugin check` finds what is wrong with a distribution, for somebody who knows nothing of pytest."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from cli.conftest import Afx
from distribution import harness, write_distribution, write_plugin

DOCUMENTS = Path(__file__).parents[2] / "docs/plugin-authors"

WRONG = """
    from pathlib import Path

    from afx.plugin import *
    from afx.testing.memory_storage import MemoryStorage
    from afx_reconnect_shellper.strategy import ShellperStrategy

    class Impatient(ShellperStrategy):
        name = "impatient"

        async def survey(self, records, deadline):
            found = await super().survey(records, deadline)
            dead = Survival(Life.DEAD, "It is dead.")
            return {one: dead if it.life is Life.NO_ANSWER else it for one, it in found.items()}

    class Unfinished(ReconnectStrategy):
        name = "unfinished"

        async def spawn(self, spec):
            raise SpawnError("Not yet.")

    class Erases(MemoryStorage):
        name = "erases"

        async def apply(self, host, changes):
            await super().apply(host, changes)
            if changes.prune:
                self._opened()[host].conversations.clear()

    @hookimpl
    def afx_reconnect_strategies():
        for one in (Impatient, Unfinished):
            factory = f"{__name__}:{one.__name__}"
            yield StrategyEntry(name=one.name, summary=".", factory=factory, api_version=1)

    @hookimpl
    def afx_storages():
        return [StorageEntry(name="erases", summary=".", factory=__name__ + ":Erases", api_version=1)]
"""


def test_wrong_strategies_and_storages_are_caught_by_name(afx: Afx, site: Path) -> None:
    write_plugin(site, "wrong", WRONG)
    done = afx("plugin", "check", "afx-wrong", "--json")
    assert done.status == 1
    said = json.loads(done.out)
    failed = {(one["suite"], one["test"]): one for one in said["failures"]}
    hung = failed["Test_strategy_impatient", "test_one_that_hangs_is_not_dead_lesson_02"]
    assert hung["why"].endswith(".")
    assert "respawn" in failed["Test_strategy_unfinished_class", "test_it_has_every_method"]["message"]
    erased = "test_a_stored_conversation_is_never_changed_or_erased_lesson_18"
    assert ("Test_storage_erases", erased) in failed
    assert said["passed"] > 30, "the rest of each is right"


def test_what_failed_and_why_it_matters_is_said_in_words(afx: Afx, site: Path) -> None:
    write_plugin(site, "foo", harness("foo"))
    done = afx("plugin", "check", "afx-foo")
    assert done.status == 1
    assert "failed harness foo: the task reaches the program" in done.out
    assert "passed harness foo: " in done.out
    assert "Why: An agent that is not told its task sits there and waits." in done.out
    assert "not tested The harness has no session" in done.out
    assert "Traceback" not in done.out + done.err


def test_what_is_no_plugin_is_a_sentence(afx: Afx) -> None:
    done = afx("plugin", "check", "nobody")
    assert (done.status, "No plugin is installed" in done.err) == (2, True)


def test_one_thing_of_a_distribution_is_checked_by_its_name(afx: Afx) -> None:
    done = afx("plugin", "check", "codex")
    assert done.status == 0, done.out
    assert done.out.startswith("passed harness codex: ")
    assert "claude" not in done.out
    done = afx("plugin", "check", "declared")
    assert (done.status, "declared brings nothing that there is a suite for." in done.err) == (2, True)


def test_two_plugins_for_one_name_fail_the_check_of_either(afx: Afx, site: Path) -> None:
    write_plugin(site, "rival", harness("codex"))
    done = afx("plugin", "check", "afx-rival")
    assert done.status == 1
    assert "failed harness codex: it is active\n  The harness 'codex' is claimed by afx" in done.out
    assert "afx plugins disable DISTRIBUTION" in done.out


def test_the_example_of_the_documents_in_one_file_has_nothing_wrong(afx: Afx, site: Path) -> None:
    text = (DOCUMENTS / "index.md").read_text().partition("\n## A harness in one file\n")[2]
    code = text.partition("```python\n")[2].partition("```")[0]
    write_distribution(site, "afx-harness-foo", "foo = afx_harness_foo", afx_harness_foo=code)
    done = afx("plugin", "check", "afx-harness-foo")
    assert (done.status, "passed harness foo: " in done.out) == (0, True), done.out


@pytest.mark.skipif(shutil.which("dtach") is None and "CI" not in os.environ, reason="dtach is not installed")
def test_terminals_that_outlive_their_holder_are_no_fault(
    afx: Afx, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = DOCUMENTS / "examples/afx-reconnect-dtach"
    write_distribution(site, package.name, "dtach = afx_reconnect_dtach")
    monkeypatch.syspath_prepend(str(package / "src"))
    monkeypatch.setenv("PYTHONPATH", str(package / "src"), prepend=os.pathsep)
    done = afx("plugin", "check", package.name)
    assert (done.status, done.out.count("passed strategy dtach: ")) == (0, 1), done.out
    assert "not tested Its terminals outlive what was killed here" in done.out


OBSERVER = """
    from afx.plugin import *

    @hookimpl
    def afx_terminal_event(event):
        pass
"""


def test_what_no_suite_is_for_is_a_sentence(afx: Afx, site: Path) -> None:
    write_plugin(site, "watch", OBSERVER)
    done = afx("plugin", "check", "afx-watch")
    assert (done.status, done.out) == (2, "")
    assert "afx-watch brings nothing that there is a suite for." in done.err


def test_a_name_that_is_taken_is_not_scaffolded(afx: Afx, tmp_path: Path) -> None:
    done = afx("plugin", "new", "harness", "claude", "--directory", str(tmp_path / "new"))
    assert (done.status, done.out) == (2, "")
    assert "There is a harness claude already, of afx." in done.err
    assert not (tmp_path / "new").exists()


def test_a_directory_that_cannot_be_written_is_a_sentence_and_a_hint(afx: Afx, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = afx("plugin", "new", "harness", "foo", "--directory", str(tmp_path / "file/foo"))
    assert (done.status, done.out) == (2, "")
    assert "cannot be written: Not a directory." in done.err
    assert "Choose another with --directory." in done.err


@pytest.mark.parametrize("kind", ["harness", "storage", "strategy"])
def test_what_is_scaffolded_depends_on_what_it_imports(afx: Afx, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "new"
    assert afx("plugin", "new", kind, "foo", "--directory", str(path)).status == 0
    project = tomllib.loads((path / "pyproject.toml").read_text())["project"]
    named = {re.split(r"\W", one)[0] for one in project["dependencies"]}
    trees = [ast.parse(file.read_text()) for file in path.glob("src/**/*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    ours = {"afx_holding", f"afx_{kind}_foo"}
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - ours == named
