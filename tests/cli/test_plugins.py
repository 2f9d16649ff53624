"""Plugins are listed without importing any, and switched off and on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from afx.settings import config_file, state_directory
from cli.conftest import Afx
from cli.stub import NOW, StubTower
from distribution import harness, write_distribution


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of packages that every Python of this test finds."""
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(path))
    return path


def test_a_plugin_is_switched_off_and_on(afx: Afx, site: Path) -> None:
    write_distribution(site, "afx-foo", "point = foo_plugin", foo_plugin=harness("foo"))
    assert "afx-foo 1.0" in afx("plugins").out
    done = afx("plugins", "disable", "AFX_foo")
    assert (done.status, str(config_file()) in done.out) == (0, True)
    assert "switched off already" in afx("plugins", "disable", "afx-foo").out
    listed = afx("plugins").out
    assert "plugin point is blocked" in " ".join(listed.split())
    assert "It is switched off in the settings." in listed
    assert "`afx plugins enable point`" in listed
    done = afx("plugins", "enable", "afx-foo")
    assert (done.status, "switched on" in done.out) == (0, True)
    assert "blocked" not in afx("plugins").out
    assert "not switched off" in afx("plugins", "enable", "afx-foo").out


def test_what_failed_in_the_running_tower_only_is_said(afx: Afx, site: Path, tower: StubTower) -> None:
    write_distribution(site, "afx-foo", "point = foo_plugin", foo_plugin=harness("foo"))
    row = {
        "kind": "harness",
        "name": "foo",
        "distribution": "afx-foo",
        "state": "broken",
        "error": "It was given up.",
        "hint": "Tell its author.",
        "since": NOW,
        "warnings": [],
    }
    there = [
        row,
        {**row, "name": "gone"},
        {**row, "name": "claude", "distribution": "afx", "state": "active"},
    ]
    tower.answers["GET", "/api/plugins"] = (200, {"plugins": there, "observers": {"dropped": 0}})
    done = afx("plugins")
    assert "harness foo is broken in the running Tower (for " in done.out
    assert "): It was given up.\n  Tell its author." in done.out
    assert done.out.count("running Tower") == 1


def test_what_is_switched_off_elsewhere_is_said(
    afx: Afx, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    (repository / "afx.toml").write_text('plugins.disabled = ["codex"]\n')
    done = afx("plugins", "enable", "codex")
    assert (done.status, "by afx.toml" in done.err) == (2, True)
    monkeypatch.setenv("AFX_DISABLED_PLUGINS", "codex")
    done = afx("plugins", "enable", "codex")
    assert (done.status, "by AFX_DISABLED_PLUGINS" in done.err) == (2, True)


def test_a_plugin_that_is_none_is_refused(afx: Afx) -> None:
    done = afx("plugins", "disable", "nobody")
    assert (done.status, "no plugin 'nobody'" in done.err) == (2, True)
    assert not config_file().exists()


def test_a_plugin_that_ends_the_process_ends_no_command_of_ours(afx: Afx, site: Path) -> None:
    write_distribution(
        site,
        "afx-foo",
        "foo = foo_plugin",
        foo_plugin="import os, sys; print('ouch', file=sys.stderr); os._exit(7)",
    )
    done = afx("plugins")
    assert done.status == 1
    assert "status 7: ouch" in done.err
    assert "AFX_DISABLED_PLUGINS" in done.err


def test_where_there_is_a_state_directory_it_is_named(afx: Afx, site: Path) -> None:
    write_distribution(site, "afx-foo", "foo = foo_plugin", foo_plugin="import os; os._exit(7)")
    state_directory().mkdir(parents=True)
    done = afx("plugins")
    assert done.status == 0
    assert "plugin foo is broken" in done.out
    assert "It ends the process that loads it." in " ".join(done.out.split())


WATCH = """
import runpy, sys
before = set(sys.modules)
sys.argv[:] = ["afx", *{arguments!r}]
try:
    runpy.run_module("afx.cli", run_name="__main__")
except SystemExit:
    pass
print("LOADED", *sorted(set(sys.modules) - before), file=sys.stderr)
"""
NEVER = ("afx_harness", "afx_reconnect", "afx_storage", "afx.server", "afx.tower", "uvicorn", "starlette")


@pytest.mark.parametrize(
    "arguments", [["plugins"], ["--help"], ["status"], ["--version"], ["plugins", "--help"]]
)
def test_no_plugin_and_no_server_is_imported(arguments: list[str], tmp_path: Path, site: Path) -> None:
    write_distribution(site, "afx-foo", "foo = stranger_plugin", stranger_plugin=harness("foo"))
    done = subprocess.run(
        [sys.executable, "-c", WATCH.format(arguments=arguments)],
        capture_output=True,
        text=True,
        env={**os.environ},
        cwd=tmp_path,
        check=False,
    )
    loaded = done.stderr.rpartition("LOADED")[2].split()
    assert "afx.cli" in loaded
    assert [name for name in loaded if name.startswith((*NEVER, "stranger", "pluggy", "afx.loader"))] == []


def test_the_version_is_said_about_as_fast_as_click_is_imported() -> None:
    ways = {"afx": ["-m", "afx.cli", "--version"], "click": ["-c", "import click"]}
    times: dict[str, list[float]] = {name: [] for name in ways}
    # In turns, so that a busy machine slows both.
    for _ in range(9):
        for name, arguments in ways.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - began)
    assert median(times["afx"]) < 2.5 * median(times["click"])
