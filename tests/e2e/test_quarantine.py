"""Whatever is wrong with a stranger's plugin, the Tower boots, all else works, and the plugin is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from afx.testing.tower_process import RequestFailedError, TowerProcess
from distribution import harness, write_distribution, write_plugin
from e2e.conftest import serve

HOOK = """
from afx.plugin import hookimpl

@hookimpl
{hook}
"""

BROKEN = {
    "cannot-import": ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
    "wrong-argument": (HOOK.format(hook="def afx_harnesses(config): return []"), "config"),
    "is-async": (HOOK.format(hook="async def afx_harnesses(): return []"), "asynchronous"),
    "too-new": (harness("newer", 99), "version 99 of the plugin API"),
    "too-old": (harness("older", 0), "version 0 of the plugin API"),
    "rival": (harness("claude"), "claimed by afx"),
    "raises": (
        HOOK.format(hook="def afx_storages(): raise RuntimeError('dizzy')"),
        "Its hook afx_storages raised RuntimeError: dizzy",
    ),
    "hangs": (
        HOOK.format(hook="def afx_harnesses(): __import__('threading').Event().wait(60)"),
        "Its hook afx_harnesses took longer than 5 s",
    ),
}
SHOWN_AS = {"too-new": "newer", "too-old": "older", "rival": "claude"}
HINTS = {"too-new": "Upgrade afx.", "too-old": "Upgrade the plugin.", "rival": "Uninstall one of them"}
LATE = harness("late").replace(":Harness", ":Nowhere")
"""A plugin that is listed well, and fails in whoever uses it."""


@pytest.fixture
def site(short_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All broken plugins, a good one, and one that fails late, where every Python of this test looks."""
    path = short_directory / "site"
    for name, (text, _) in BROKEN.items():
        module = f"broken_{name.replace('-', '_')}"
        write_distribution(path, f"afx-{name}", f"{name} = {module}", **{module: text})
    write_plugin(path, "good", harness("good"))
    write_plugin(path, "late", LATE)
    monkeypatch.setenv("PYTHONPATH", str(path), prepend=os.pathsep)
    return path


@pytest.fixture
def tower(site: Path, short_directory: Path) -> Iterator[TowerProcess]:
    del site
    yield from serve(short_directory)


def test_the_tower_boots_and_names_each(tower: TowerProcess, workspace: str) -> None:
    rows = {
        (row["name"], row["distribution"]): row for row in tower.request("GET", "/api/plugins")["plugins"]
    }
    on_the_page = {(row["name"], row["error"]): row for row in tower.state()["plugins"]}
    for name, (_, says) in BROKEN.items():
        row = rows[SHOWN_AS.get(name, name), f"afx-{name}"]
        assert row["state"] == ("incompatible" if name.startswith("too-") else "broken")
        assert says in row["error"]
        assert row["hint"].startswith(HINTS.get(name, "Tell its author."))
        assert "`afx plugins disable " in row["hint"]
        assert time.time() - 60 < row["since"] < time.time()
        shown = on_the_page[row["name"], row["error"]]
        assert [shown[field] for field in ("state", "hint", "since")] == [
            row[field] for field in ("state", "hint", "since")
        ]
    assert rows["good", "afx-good"]["state"] == "active"

    # Everything else works.
    shell = tower.shell(workspace, "echo here; exec cat", "s")
    assert shell["state"] == "running"
    with pytest.raises(RequestFailedError, match="AttributeError"):
        tower.request("POST", "/api/agents", {"workspace": workspace, "kind": "architect", "harness": "late"})

    # What is said is how it is switched off.
    env = {**tower.env, "AFX_CONFIG": str(tower.home / "config.toml")}

    def afx(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "afx.cli", *arguments],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split())

    listed = afx("plugins")
    examined = afx("doctor")
    for name, (_, says) in BROKEN.items():
        row = rows[SHOWN_AS.get(name, name), f"afx-{name}"]
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["since"]))
        assert re.search(
            rf"{row['kind']} {row['name']} is {row['state']} \(for [^)]*\): [^`]*{re.escape(says)}", listed
        )
        assert row["hint"] in listed
        named = f"The {row['kind']} {row['name']!r} of afx-{name} 1.0 is {row['state']} since {since}: "
        assert named in examined
        assert says in examined.partition(named)[2]
        assert row["hint"] in examined.partition(named)[2]
    assert "harness late is broken in the running Tower" in listed
    assert "The harness 'late' of afx-late 1.0 is broken" in examined
    for name in ("hangs", "afx-rival"):
        afx("plugins", "disable", name)
    listed = afx("plugins")
    assert "claude is broken in the running Tower" in listed, "which goes by it after a restart"
    assert "plugin hangs is blocked" in listed

    # After a restart it counts, and since when the others are broken is remembered.
    tower.env["AFX_CONFIG"] = env["AFX_CONFIG"]
    tower.kill()
    tower.start()
    assert "claude" not in {row["name"] for row in tower.state()["plugins"]}
    again = {row["name"]: row["since"] for row in tower.state()["plugins"]}
    assert again["raises"] == rows["raises", "afx-raises"]["since"]
    assert tower.agents()["shell/s"]["terminal"]["id"] == shell["terminal"]["id"]


def test_a_broken_harness_is_not_passed_over_in_silence(
    site: Path, tower: TowerProcess, workspace: str
) -> None:
    tower.stop()
    write_distribution(
        site, "afx-acme", "acme = acme_plugin", acme_plugin=harness("acme").replace(":Harness", ":Nowhere")
    )
    tower.start()
    body = {"workspace": workspace, "kind": "architect", "name": "main"}
    answer = tower.request("POST", "/api/agents", body)
    assert answer["agent"]["harness"] == "codex"
    acme, claude = answer["notes"]
    assert acme.startswith("The harness acme is passed over, for it is broken: ")
    assert "`afx plugins disable acme` switches it off." in acme
    assert claude.startswith("The harness claude is passed over, for it is broken: ")
    assert "claimed by afx" in claude
    named = tower.request("POST", "/api/agents", {**body, "name": "other", "harness": "codex"})
    assert named["notes"] == []
