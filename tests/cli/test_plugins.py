"""Plugins are listed without importing any, and switched off and on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from afx.settings import config_file, state_directory
from cli.conftest import Afx, Done
from cli.stub import NOW, StubTower
from distribution import harness, write_plugin


def test_a_plugin_is_switched_off_and_on(afx: Afx, site: Path) -> None:
    write_plugin(site, "foo", harness("foo"), point="point")
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


@pytest.fixture
def tower_rows(afx: Afx, site: Path, tower: StubTower) -> list[dict[str, Any]]:
    """What a Tower that loaded everything says of plugins; changing it changes the answer."""
    write_plugin(site, "foo", harness("foo"), point="point")
    rows: list[dict[str, Any]] = json.loads(afx("plugins", "--json").out)
    assert all(row.pop("tower") is None for row in rows)
    tower.answers["GET", "/api/plugins"] = (200, {"plugins": rows, "observers": {"dropped": 0}})
    return rows


def foo_in(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return next(row for row in rows if row["name"] in {"foo", "point"})


def failures(diagnosis: Done) -> list[str]:
    findings = json.loads(diagnosis.out)["findings"]
    return [one["what"] for one in findings if one["check"] == "plugins" and one["level"] != "ok"]


def test_where_the_tower_goes_by_the_same_nothing_is_said(afx: Afx, tower_rows: list[dict[str, Any]]) -> None:
    assert "running Tower" not in afx("plugins").out
    assert [row["tower"] for row in json.loads(afx("plugins", "--json").out)] == [None] * len(tower_rows)
    assert failures(afx("doctor", "--json")) == []


def test_what_failed_in_the_running_tower_only_is_said(afx: Afx, tower_rows: list[dict[str, Any]]) -> None:
    what = {"state": "broken", "error": "It was given up.", "hint": "Tell its author.", "since": NOW}
    foo_in(tower_rows).update(what, warnings=["It uses what is to go."])
    tower_rows.append({**foo_in(tower_rows), "name": "gone"})
    done = afx("plugins")
    assert "harness foo is broken in the running Tower (for " in done.out
    assert "): It was given up.\n  Tell its author." in done.out
    assert done.out.count("running Tower") == 1
    assert "harness foo of afx-foo 1.0: It uses what is to go." in done.out
    told = foo_in(json.loads(afx("plugins", "--json").out))
    assert (told["state"], told["tower"]) == ("active", what)
    assert told["warnings"] == ["It uses what is to go."]
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(NOW))
    assert failures(afx("doctor", "--json")) == [
        "The harness 'foo' of afx-foo 1.0: It uses what is to go.",
        f"The harness 'foo' of afx-foo 1.0 is broken in the running Tower since {since}: It was given up.",
    ]


def test_what_was_upgraded_under_the_tower_and_fails_there_is_no_fault_of_its_author(
    afx: Afx, tower_rows: list[dict[str, Any]]
) -> None:
    failed = {"state": "broken", "error": "ImportError: x", "hint": "Tell its author.", "since": NOW}
    foo_in(tower_rows).update(failed, version="0.9")
    for said in (afx("plugins").out, afx("doctor").out):
        assert "broken in the running Tower" in said
        assert "`afx tower restart`" in said
        assert "Tell its author." not in said


def test_what_was_installed_or_switched_since_the_tower_started_is_said(
    afx: Afx, tower_rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    foo = foo_in(tower_rows)
    tower_rows.remove(foo)
    for said in (afx("plugins").out, afx("doctor").out):
        assert "is not known to the running Tower" in said
        assert "`afx tower restart`" in said
    tower_rows.append(
        {**foo, "kind": "plugin", "name": "point", "state": "broken", "error": "ImportError: x"}
    )
    assert "harness foo is broken in the running Tower: ImportError: x" in afx("plugins").out
    tower_rows[-1] = foo
    monkeypatch.setenv("AFX_DISABLED_PLUGINS", "afx-foo")
    assert "plugin point is still active in the running Tower." in afx("plugins").out
    assert foo_in(json.loads(afx("plugins", "--json").out))["tower"]["state"] == "active"
    assert any("is still active in the running Tower" in one for one in failures(afx("doctor", "--json")))


def test_events_that_observers_missed_are_told(
    afx: Afx, tower: StubTower, tower_rows: list[dict[str, Any]]
) -> None:
    tower.answers["GET", "/api/plugins"] = (200, {"plugins": tower_rows, "observers": {"dropped": 7}})
    assert "7 events were told to none of them." in afx("plugins").out
    assert "Observers are too slow: 7 events were told to none of them." in failures(afx("doctor", "--json"))


@pytest.mark.parametrize("answer", [{}, {"plugins": [{"name": "foo"}], "observers": {"dropped": 0}}])
def test_a_tower_that_says_it_otherwise_costs_nothing(
    afx: Afx, tower: StubTower, answer: dict[str, Any]
) -> None:
    tower.answers["GET", "/api/plugins"] = (200, answer)
    assert "running Tower" not in afx("plugins").out
    assert failures(afx("doctor", "--json")) == []


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
    write_plugin(site, "foo", "import os, sys; print('ouch', file=sys.stderr); os._exit(7)")
    done = afx("plugins")
    assert done.status == 1
    assert "status 7: ouch" in done.err
    assert "AFX_DISABLED_PLUGINS" in done.err


def test_where_there_is_a_state_directory_it_is_named(afx: Afx, site: Path) -> None:
    write_plugin(site, "foo", "import os; os._exit(7)")
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
    write_plugin(site, "stranger", harness("foo"))
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
