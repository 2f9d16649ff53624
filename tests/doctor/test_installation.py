"""What the doctor makes of the state directory, the key, plugins, programs and the Tower's own state."""

from __future__ import annotations

import os
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import afx
from afx import __version__
from afx.api.doctor import DoctorContext, Finding, Level
from afx.doctor.installation import (
    check_home,
    judge_key,
    judge_names,
    judge_plugins,
    judge_program,
    judge_tower,
)
from afx.installed import Installed, installed
from afx.quarantine import Kind, PluginInfo, PluginState
from afx.settings import Settings

OK, WARNING, ERROR = Level.OK, Level.WARNING, Level.ERROR


def findings_of(home: Path) -> list[Finding]:
    return [*check_home(DoctorContext(home=home, env={}))]


def row(
    state: PluginState, error: str, hint: str = "", *, kind: Kind = "harness", name: str = "foo"
) -> PluginInfo:
    return PluginInfo(
        kind=kind,
        name=name,
        summary="",
        distribution="afx-foo",
        version="1",
        state=state,
        error=error,
        hint=hint,
        since=None if state is PluginState.ACTIVE else 86400.0 * 365,
    )


def levels(findings: list[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def test_a_state_directory_of_ones_own_is_fine(tmp_path: Path) -> None:
    home = tmp_path / "state"
    assert levels(findings_of(home)) == [OK]
    home.mkdir(mode=0o700)
    assert levels(findings_of(home)) == [OK, OK]


def test_what_others_can_enter_and_what_is_no_directory_are_errors(tmp_path: Path) -> None:
    home = tmp_path / "state"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    assert findings_of(home)[0].command == f"chmod 700 {home}"
    file = tmp_path / "file"
    file.touch()
    assert levels(findings_of(file)) == [ERROR]
    assert levels(findings_of(file / "below")) == [ERROR]


def test_what_is_no_directory_and_not_ours_is_not_to_be_moved() -> None:
    (finding,) = findings_of(Path("/etc/passwd"))
    assert finding.level is ERROR
    assert (finding.command == "") == (os.geteuid() != 0)


def test_a_state_directory_that_cannot_be_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "not" / "yet"
    assert levels(findings_of(home)) == [OK]
    # Root may write wherever the modes say otherwise.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    (finding,) = findings_of(home)
    assert finding.level is ERROR
    assert f"you may not write to {tmp_path}" in finding.what


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("AFX_STORAGE", "storage.name is 'nope' (AFX_STORAGE)"),
        ("AFX_STRATEGY", "terminal.strategy is 'nope' (AFX_STRATEGY)"),
        ("AFX_STRATEGY_SHELL", "terminal.strategy_shell is 'nope'"),
        ("AFX_HARNESS", "agent.harness is 'nope'"),
    ],
)
def test_a_setting_that_names_what_is_not_there_is_an_error(variable: str, says: str) -> None:
    rows = [
        row(PluginState.ACTIVE, "", kind="storage", name="sqlite"),
        row(PluginState.ACTIVE, "", kind="strategy", name="shellper"),
        row(PluginState.BROKEN, "ImportError: x", kind="strategy", name="nope"),
    ]
    assert [*judge_names(Settings.load(None, env={}), rows)] == []
    (finding,) = judge_names(Settings.load(None, env={variable: "nope"}), rows)
    assert finding.level is ERROR
    assert says in finding.what
    assert "Known are: " in finding.why


def test_planted_symlinks_are_named(tmp_path: Path) -> None:
    home = tmp_path / "state"
    home.mkdir(mode=0o700)
    (home / "tower.log").symlink_to("/etc/passwd")
    assert "tower.log is a symlink" in findings_of(home)[-1].what
    assert findings_of(home)[-1].level is ERROR


def test_the_key_is_private_whole_and_a_file(tmp_path: Path) -> None:
    key = tmp_path / "key"
    assert judge_key(key).level is OK
    key.write_text("k" * 43)
    key.chmod(0o600)
    assert judge_key(key).level is OK
    key.chmod(0o640)
    assert judge_key(key).command == f"chmod 600 {key}"
    key.chmod(0o600)
    key.write_text("")
    assert judge_key(key).level is ERROR
    key.unlink()
    key.symlink_to("/etc/passwd")
    assert judge_key(key).command == f"rm {key}"
    key.unlink()
    key.mkdir()
    assert judge_key(key).command == f"mv {key} {key}.old", "What is in a directory is not thrown away."


@pytest.mark.parametrize(
    ("program", "said", "checked", "level"),
    [
        (None, None, ("1.0.0",), OK),
        ("/bin/foo", "1.0.0 (Foo)", ("1.0.0",), OK),
        ("/bin/foo", "foo-cli 1.0.0", ("1.0.0", "0.9.0"), OK),
        ("/bin/foo", "foo-cli 1.0.1", ("1.0.0",), WARNING),
        ("/bin/foo", "v1.0.0-beta.2", ("1.0.0",), WARNING),
        ("/bin/foo", "foo-cli 7.1", (), OK),
        ("/bin/foo", None, ("1.0.0",), WARNING),
        ("/bin/foo", "I am Foo", (), WARNING),
    ],
)
def test_programs(program: str | None, said: str | None, checked: tuple[str, ...], level: Level) -> None:
    assert judge_program("foo", program, said, checked).level is level


def test_plugins_that_are_not_active_are_named() -> None:
    found = [
        *judge_plugins(
            [
                row(PluginState.ACTIVE, ""),
                row(PluginState.BROKEN, "ImportError: x", "Switch it off."),
                row(PluginState.BLOCKED, "It is switched off in the settings."),
            ]
        )
    ]
    assert levels(found) == [WARNING, OK, OK]
    assert re.fullmatch(
        r"The harness 'foo' of afx-foo 1 is broken since 197[01]-\d\d-\d\d \d\d:\d\d: ImportError: x",
        found[0].what,
    )
    assert found[0].why == "What it brings cannot be used. Switch it off."


def state(version: str = __version__, *agents: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "tower": {"version": version, "url": "http://127.0.0.1:1", "pid": 7, "started_at": 100.0},
        "workspaces": [{"agents": list(agents)}],
        "orphans": [],
        **more,
    }


def agent(name: str, of: str) -> dict[str, Any]:
    return {"kind": "builder", "name": name, "state": of, "reason": "So it is."}


HERE = Installed(version=__version__, directory="/venv/afx", at=99.0)


def test_the_towers_own_state() -> None:
    assert levels([*judge_tower(state(), HERE)]) == [OK]
    members = agent("a", "running"), agent("b", "lost"), agent("c", "unreachable")
    found = [*judge_tower(state(__version__, *members), HERE)]
    assert levels(found) == [OK, WARNING, WARNING]
    assert found[1].command == "afx start builder/b"
    orphan = {"terminal_id": "t1", "note": "a shell"}
    assert "t1" in [*judge_tower(state(orphans=[orphan]), HERE)][-1].what


@pytest.mark.parametrize(
    ("running", "here", "said"),
    [
        ({"version": "0.0.1"}, HERE, f"The Tower that runs is 0.0.1, and afx {__version__} is installed."),
        ({"version": "9.9.9", "installed_in": "/old/afx"}, HERE, "It runs from /old/afx, this is /venv/afx."),
        ({"installed_in": "/old/afx"}, HERE, "The Tower that runs is of another installation of afx."),
        ({}, replace(HERE, at=101.0), "The Tower started before afx was installed again, at 19"),
    ],
)
def test_a_tower_of_another_afx_is_told_from_the_one_that_is_installed(
    running: dict[str, Any], here: Installed, said: str
) -> None:
    facts = state()
    facts["tower"] |= running
    found = next(judge_tower(facts, here))
    assert (found.level, found.command) == (WARNING, "afx tower restart")
    assert said in found.what
    # It may as well be the older one that is installed: nothing is promised of it.
    assert "new" not in found.why


def test_a_tower_of_this_installation_is_as_it_should_be() -> None:
    facts = state()
    facts["tower"]["installed_in"] = HERE.directory
    for at in (99.0, None):
        assert levels([*judge_tower(facts, replace(HERE, at=at))]) == [OK]


def test_when_afx_was_installed_is_what_the_installer_noted() -> None:
    record = Path(str(distribution("afx").locate_file(f"afx-{__version__}.dist-info/RECORD")))
    assert installed() == Installed(
        version=__version__, directory=str(Path(afx.__file__).parent), at=record.stat().st_mtime
    )
