"""What the doctor makes of the machine: tables from facts to findings."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from afx.api.doctor import DoctorContext, Level
from afx.doctor import machine
from afx.doctor.staying import Manager, judge_manager, unit_of

OK, WARNING, ERROR = Level.OK, Level.WARNING, Level.ERROR
MB = 10**6


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ("git version 2.39.5", OK),
        ("git version 2.36.0", OK),
        ("git version 3.0", OK),
        ("git version 2.50.1 (Apple Git-155)", OK),
        ("git version 2.9.4", WARNING),
        ("git version 1.99.0", WARNING),
        ("hello", WARNING),
        (None, ERROR),
    ],
)
def test_git(said: str | None, level: Level) -> None:
    assert machine.judge_git(said).level is level


@pytest.mark.parametrize(
    ("most", "level"), [(None, OK), (4096, OK), (20000, OK), (1024, WARNING), (40, ERROR)]
)
def test_open_files(most: int | None, level: Level) -> None:
    assert machine.judge_files(most).level is level


@pytest.mark.parametrize(("left", "level"), [(None, OK), (200, OK), (199, WARNING), (9, ERROR), (-3, ERROR)])
def test_processes(left: int | None, level: Level) -> None:
    finding = machine.judge_processes(left)
    assert finding.level is level
    assert "-" not in finding.what


def test_the_users_own_limit_of_processes_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(
        resource, "getrlimit", lambda what: (50, 50) if what == resource.RLIMIT_NPROC else (9999, 9999)
    )
    found = [*machine.check_limits(DoctorContext(home=tmp_path, env={}))]
    assert any("more processes can be started" in finding.what for finding in found)
    assert found[1].level is WARNING


def test_inotify_names_the_limit_and_the_command() -> None:
    low = [*machine.judge_inotify({"max_user_instances": 8, "max_user_watches": 10**6})]
    assert [finding.level for finding in low] == [WARNING]
    assert low[0].command == "sudo sysctl fs.inotify.max_user_instances=512"
    assert [
        f.level for f in machine.judge_inotify({"max_user_instances": None, "max_user_watches": 16384})
    ] == [OK]


@pytest.mark.parametrize(
    ("free", "inodes", "level"),
    [
        (50_000 * MB, None, OK),
        (50_000 * MB, 99, ERROR),
        (50_000 * MB, 10**6, OK),
        (999 * MB, 10**6, WARNING),
        (99 * MB, None, ERROR),
    ],
)
def test_space(free: int, inodes: int | None, level: Level) -> None:
    assert machine.judge_space(Path("/x"), free, inodes).level is level


@pytest.mark.parametrize(
    ("now", "written", "level"),
    [
        (1_790_000_000.0, None, OK),
        (1_790_000_000.0, 1_790_000_030.0, OK),
        (1_790_000_000.0, 1_790_003_600.0, WARNING),
        (0.0, None, WARNING),
    ],
)
def test_clock(now: float, written: float | None, level: Level) -> None:
    assert machine.judge_clock(now, written).level is level


def test_space_is_looked_at_where_the_path_is_too_long_for_the_system(tmp_path: Path) -> None:
    (finding,) = machine.check_space(DoctorContext(home=tmp_path / ("x" * 300) / "state", env={}))
    assert str(tmp_path) in finding.what
    assert "x" * 300 not in finding.what


def test_space_is_looked_at_where_the_state_directory_will_be(tmp_path: Path) -> None:
    context = DoctorContext(home=tmp_path / "not/yet", env={})
    assert str(tmp_path) in next(machine.check_space(context)).what


@pytest.mark.parametrize(
    ("manager", "levels"),
    [
        (Manager(kills_at_logout=False, lingers=False), [OK]),
        (Manager(kills_at_logout=True, lingers=True), [OK]),
        (Manager(kills_at_logout=True, lingers=False), [ERROR]),
        (Manager(kills_at_logout=True, lingers=None), [ERROR]),
        (Manager(), [OK]),
        (Manager(kills_at_logout=False, lingers=True, unit="/user@1/afx.service", kill_mode="process"), [OK]),
        (
            Manager(kills_at_logout=False, lingers=False, unit="/user@1/afx.service", kill_mode="process"),
            [WARNING],
        ),
        (Manager(lingers=True, unit="/system/afx.service", kill_mode="control-group"), [OK, ERROR]),
        (Manager(lingers=True, unit="/system/afx.service", kill_mode="mixed"), [OK, ERROR]),
    ],
)
def test_logout(manager: Manager, levels: list[Level]) -> None:
    assert [finding.level for finding in judge_manager(manager)] == levels


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/user.slice/user-1000.slice/session-2.scope\n", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/term.scope\n", ""),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/afx.service\n",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/afx.service",
        ),
        ("12:pids:/system.slice/afx.service\n0::/\n", "/system.slice/afx.service"),
        ("", ""),
    ],
)
def test_the_unit_that_the_tower_runs_in(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup) == unit
