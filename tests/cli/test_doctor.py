"""`afx doctor`: what a person sees, what a program gets, and that it works where nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Afx
from cli.stub import StubTower


def test_a_machine_that_is_well(afx: Afx, home: Path) -> None:
    done = afx("doctor")
    assert done.status == 0
    assert "no errors" in done.out
    assert "The Tower does not run." in done.out
    assert not home.exists(), "looking changes nothing"


def test_json_has_every_finding_and_the_worst_level(afx: Afx) -> None:
    told = json.loads(afx("doctor", "--json").out)
    assert told["level"] in {"ok", "warning"}
    assert {"git", "home", "plugins", "harnesses", "shellper", "sqlite"} <= {
        finding["check"] for finding in told["findings"]
    }
    assert all(set(finding) == {"check", "level", "what", "why", "command"} for finding in told["findings"])


def test_an_error_says_why_and_what_mends_it_and_the_status_is_1(afx: Afx, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "key").write_text("k" * 43)
    (home / "key").chmod(0o644)
    done = afx("doctor")
    assert done.status == 1
    assert "Whoever has the key can type into every agent." in done.out
    assert f"Run `chmod 600 {home}/key`." in done.out
    assert json.loads(afx("doctor", "--json").out)["level"] == "error"


def test_it_works_where_the_settings_cannot_be_read(
    afx: Afx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("tower.port = 'no port'\n")
    monkeypatch.setenv("AFX_CONFIG", str(config))
    done = afx("doctor")
    assert done.status == 1
    assert "line 1, column 1: tower.port is 'no port'" in done.out
    assert "git" in done.out


def test_it_works_where_the_database_is_garbage(afx: Afx, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "afx.db").write_bytes(b"no database at all" * 100)
    (home / "afx.db").chmod(0o600)
    done = afx("doctor")
    assert done.status == 1
    assert "afx.db is no SQLite database" in done.out


def test_a_running_tower_is_asked(afx: Afx, tower: StubTower) -> None:
    tower.answers["GET", "/api/state"][1]["tower"]["version"] = "0.0.1"
    done = afx("doctor")
    assert "The Tower that runs is 0.0.1" in done.out
    assert "Run `afx tower restart`." in done.out
