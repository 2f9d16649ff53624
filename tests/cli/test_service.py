"""The Tower as a service: what service managers are told, and that they are asked in the right order."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from afx.cli import managers
from afx.cli.units import Service, launchd_agent, systemd_unit
from cli.conftest import Afx
from scripts import write_script

ODD = Service(
    "afx",
    ["/opt/my python/bin/python", "-P", "-m", "afx.server", "50%", "$HOME"],
    {"AFX_HOME": '/home/a b/"state"', "PATH": "/bin:/100%/bin", "BACK": "a\\b"},
    "/home/a b/log",
)


@pytest.mark.parametrize(
    "line",
    [
        'ExecStart="/opt/my python/bin/python" "-P" "-m" "afx.server" "50%%" "$$HOME"',
        'Environment="AFX_HOME=/home/a b/\\"state\\""',
        'Environment="PATH=/bin:/100%%/bin"',
        'Environment="BACK=a\\\\b"',
        "KillMode=process",
        "OOMPolicy=continue",
        "WantedBy=default.target",
    ],
)
def test_a_unit_says_what_matters(line: str) -> None:
    assert line in systemd_unit(ODD).splitlines()


@pytest.mark.parametrize("value", ["a\nExecStartPre=/bin/evil", "a\x00", "a\x1b[0m"])
def test_nothing_can_be_slipped_into_a_unit(value: str) -> None:
    with pytest.raises(ValueError, match="a"):
        systemd_unit(ODD._replace(env={"AFX_HOME": value}))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "afx.service"
    good = ODD._replace(command=["/bin/sleep", "a b", "50%", "$HOME"])
    unit.write_text(systemd_unit(good))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "afx.service" not in done.stderr, done.stderr
    unit.write_text(systemd_unit(good).replace("KillMode=process", "KillMode=nonsense"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "nonsense" in done.stderr, "it must be able to complain"


def test_a_launchd_agent_leaves_terminals_alone() -> None:
    told = plistlib.loads(launchd_agent(ODD))
    assert told["AbandonProcessGroup"] is True
    assert told["ProgramArguments"] == ODD.command
    assert told["EnvironmentVariables"]["AFX_HOME"] == '/home/a b/"state"'
    assert told["RunAtLoad"] is True


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for systemctl and loginctl that write down what they are asked; return where."""
    asked = tmp_path / "asked"
    asked.touch()
    programs = tmp_path / "programs"
    programs.mkdir()
    answers = {
        "systemctl": """case "$*" in
            *is-active*) echo "${ACTIVE-inactive}"; exit 3;;
            *restart*) exit ${FAIL-0};;
        esac""",
        "loginctl": "echo ${LINGER-no}",
    }
    for name, answer in answers.items():
        write_script(programs / name, f'echo "{name} $*" >>{asked}\n{answer}')
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr("sys.platform", "linux")
    return asked


def unit_file() -> Path:
    (found,) = Path(os.environ["XDG_CONFIG_HOME"]).glob("systemd/user/afx*.service")
    return found


def test_install_writes_the_unit_and_starts_it(
    afx: Afx, systemd: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFX_PORT", "4321")
    done = afx("service", "install")
    assert done.status == 0
    assert "enable-linger" in done.out
    assert "recover.at_boot" in done.out
    unit = unit_file()
    assert f'"AFX_HOME={home}"' in unit.read_text()
    assert '"AFX_PORT=4321"' in unit.read_text(), "it stays where it is"
    asked = [line for line in systemd.read_text().splitlines() if "show" not in line and "is-" not in line]
    assert asked == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable {unit.name}",
        f"systemctl --user restart {unit.name}",
    ]
    monkeypatch.setenv("ACTIVE", "active")
    monkeypatch.setenv("LINGER", "yes")
    told = afx("service", "status").out
    assert "active" in told
    assert "linger" not in told
    unit.write_text("something else")
    assert "not what `afx service install` would write" in afx("service", "status").out


def test_uninstall_removes_it_and_says_so_once(afx: Afx, systemd: Path) -> None:
    afx("service", "install")
    unit = unit_file()
    assert "no longer a service" in afx("service", "uninstall").out
    assert not unit.exists()
    assert f"systemctl --user disable --now {unit.name}" in systemd.read_text()
    assert afx("service", "uninstall").out == "The Tower is not a service.\n"
    assert "`afx service install` makes it one" in afx("service", "status").out


def test_what_systemd_refuses_is_said(afx: Afx, systemd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "5")
    done = afx("service", "install")
    assert done.status == 1
    assert "restart" in done.err
    assert systemd.read_text()


def test_without_a_service_manager_it_is_a_sentence(afx: Afx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(managers, "_said", lambda *_: None)
    done = afx("service", "install")
    assert done.status == 2
    assert "No service manager" in done.err
    assert "cron" in done.err


@pytest.mark.usefixtures("systemd")
def test_what_lies_in_the_place_of_the_unit_and_is_none_is_said(afx: Afx) -> None:
    afx("service", "install")
    unit = unit_file()
    unit.unlink()
    unit.mkdir()
    for command, says in (("status", "read"), ("install", "written"), ("uninstall", "removed")):
        done = afx("service", command)
        assert done.status == 1
        assert f"{unit} cannot be {says}" in done.err
