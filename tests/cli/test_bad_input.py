"""Whatever is wrong with a command line: one sentence, a hint, the right exit status, and no traceback."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from afx import __version__
from afx.cli.errors import report
from afx.cli.main import run
from cli.conftest import Afx, Done
from cli.stub import StubTower, agent, workspace


def check(done: Done, status: int, says: str) -> None:
    assert done.status == status
    assert done.out == ""
    lines = done.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Error", "Hint"]
    assert says in lines[0]
    assert lines[0].endswith((".", "?"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("nonsense", "no command `afx nonsense`"),
        ("--nonsense", "--nonsense"),
        ("up --nonsense", "--nonsense"),
        ("up extra", "extra"),
        ("down extra", "extra"),
        ("open extra", "extra"),
        ("status extra", "extra"),
        ("status --jsno", "--jsno"),
        ("spawn x", "needs something to do"),
        ("spawn x --task", "--task"),
        ("spawn x --task a --file /dev/null", "Both --task and --file"),
        ("spawn x --file /nowhere/at/all", "/nowhere/at/all"),
        ("spawn x --file /dev/null", "needs something to do"),
        ("spawn x y --task z", "y"),
        ("spawn x --task y --id z", "--id is about a builder that comes back"),
        ("spawn x --task y --fresh", "--fresh is about a builder that comes back"),
        ("spawn x --resume --id y --fresh", "--fresh begins a new one"),
        ("spawn --resume", "Which builder"),
        ("spawn x --resume", "not inside a git repository"),
        ("shell a b", "b"),
        ("attach", "AGENT"),
        ("attach nobody", "no agent 'nobody'"),
        ("attach docs", "may be any of"),
        ("attach stopped", "has no terminal; it is stopped"),
        ("logs", "AGENT"),
        ("logs nobody", "no agent 'nobody'"),
        ("logs fix -n 0", "-n"),
        ("logs stopped", "has no terminal"),
        ("logs -f stopped", "has no terminal"),
        ("logs -f nobody", "no agent 'nobody'"),
        ("send", "AGENT"),
        ("send fix", "TEXT"),
        ("send fix two words", "words"),
        ("send nobody hello", "no agent 'nobody'"),
        ("send fix   ", "TEXT"),
        ("start nobody", "no agent 'nobody'"),
        ("start fix --id", "--id"),
        ("start fix --id x --fresh", "--fresh begins a new one"),
        ("conversations", None),
        ("conversations nobody", "no agent 'nobody'"),
        ("conversations nobody extra", "extra"),
        ("conversations --nonsense fix", "--nonsense"),
        ("conversations use fix", "ID"),
        ("conversations use nobody x", "no agent 'nobody'"),
        ("conversations undo", "AGENT"),
        ("explain", "AGENT"),
        ("explain nobody", "no agent 'nobody'"),
        ("architect", None),
        ("architect nonsense", "no command `afx architect nonsense`"),
        ("architect add", "NAME"),
        ("architect remove", "NAME"),
        ("architect remove nobody", "no agent 'architect/nobody'"),
        ("architect start --id x --fresh", "--fresh begins a new one"),
        ("architect start", "not inside a git repository"),
        ("architect list", "not inside a git repository"),
        ("architect add x", "not inside a git repository"),
        ("stop nobody", "no agent 'nobody'"),
        ("cleanup nobody", "no agent 'nobody'"),
        ("cleanup fix", "would lose work"),
        ("workspace", None),
        ("workspace nonsense", "no command `afx workspace nonsense`"),
        ("workspace start /nowhere/at/all", "no directory"),
        ("workspace start .", "not inside a git repository"),
        ("workspace stop .", "not inside a git repository"),
        ("workspace forget /nowhere/at/all", "not-found"),
        ("workspace list extra", "extra"),
        ("workspace recover", "not inside a git repository"),
        ("workspace recover /w --all", "--all means all"),
        ("workspace recover --all --max-age 0", "--max-age"),
        ("workspace recover --all --max-age nan", "days"),
        ("workspace recover --all --jobs 0", "--jobs"),
        ("workspace recover --all --jobs 65", "--jobs"),
        ("workspace recover --all extra", "PATH names one workspace"),
        ("tower", None),
        ("tower nonsense", "no command `afx tower nonsense`"),
        ("tower start --port x", "--port"),
        ("tower start --port 65536", "--port"),
        ("tower start --port 9", "runs already"),
        ("tower restart --port -1", "--port"),
        ("tower stop extra", "extra"),
        ("tower status extra", "extra"),
        ("tower log -n -1", "-n"),
        ("tower log", "no log"),
        ("plugins extra", "extra"),
        ("config tower.prot", "'tower.prot' is no setting"),
        ("completion", "SHELL"),
        ("completion tcsh", "tcsh"),
        ("up", "not inside a git repository"),
        ("spawn x --task y", "not inside a git repository"),
        ("shell", "not inside a git repository"),
    ],
)
def test_bad_input_of_every_command(
    afx: Afx,
    tower: StubTower,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    says: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    tower.set_state(
        workspace(
            "/w",
            agent("builder", "fix"),
            agent("builder", "docs"),
            agent("shell", "docs"),
            agent("shell", "stopped", state="stopped", reason="A person stopped it."),
        )
    )
    conflict = {
        "error": {"code": "would-lose-work", "message": "It would lose work.", "hint": "Use --force."}
    }
    tower.answers["DELETE", "/api/agents/id-builder-fix"] = (409, conflict)
    gone = {
        "error": {"code": "not-found", "message": "There is no such workspace: not-found.", "hint": "Look."}
    }
    tower.answers["POST", "/api/workspaces/forget"] = (404, gone)
    done = afx(*arguments.split())
    if says is None:
        assert (done.status, done.out) == (2, "")
        assert "Usage:" in done.err
    else:
        check(done, 2, says)
    assert [asked for asked in tower.asked if asked[0] == "POST"] == (
        [("POST", "/api/workspaces/forget", {"path": "/nowhere/at/all"})] if "forget" in arguments else []
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "open",
        "status",
        "attach x",
        "logs x",
        "send x y",
        "start x",
        "stop x",
        "cleanup x",
        "down --agents",
        "workspace list",
        "workspace start",
        "workspace stop",
        "workspace forget",
        "workspace recover",
        "workspace recover --all --apply --yes",
        "conversations x",
        "explain x",
        "architect list",
        "architect start",
        "architect stop",
        "spawn x --resume",
        "logs -f x",
        "spawn x --task y",
        "shell",
    ],
)
def test_without_a_tower_it_is_said_and_how_to_start_it(afx: Afx, repository: Path, arguments: str) -> None:
    assert repository.is_dir()
    done = afx(*arguments.split())
    check(done, 1, "The Tower is not running.")
    assert "afx tower start" in done.err


@pytest.mark.parametrize(
    ("variable", "value", "arguments"),
    [
        ("AFX_HOME", "relative", "status"),
        ("AFX_HOME", "relative", "tower start"),
        ("AFX_HOME", "/run/user/0/afx", "tower start"),
        ("AFX_PORT", "many", "config"),
        ("AFX_PORT", "many", "tower start"),
        ("AFX_DETACH_KEY", "F1", "attach x"),
    ],
)
def test_a_bad_environment_is_bad_input(
    afx: Afx, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, arguments: str
) -> None:
    monkeypatch.setenv(variable, value)
    check(afx(*arguments.split()), 2, variable if value != "/run/user/0/afx" else "wiped at logout")


def test_a_near_miss_of_a_command_is_named(afx: Afx) -> None:
    assert "Did you mean `afx status`?" in afx("statsu").err
    assert "Did you mean `afx tower restart`?" in afx("tower", "restrat").err


def test_what_nobody_expected_has_no_traceback_unless_asked(
    afx: Afx, tower: StubTower, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower.answers["GET", "/api/state"] = (200, {"tower": {}})
    done = afx("status")
    check(done, 1, "Something unexpected went wrong: KeyError")
    monkeypatch.setenv("AFX_DEBUG", "1")
    assert "Traceback" in afx("status").err


def test_a_tower_of_another_afx_is_named_where_it_is_not_understood_or_does_not_understand(
    afx: Afx, tower: StubTower, home: Path
) -> None:
    said = (
        f"Hint: The Tower that runs is 0.0.1, and afx {__version__} is installed. `afx tower restart` changes"
    )
    no_route = {"error": {"code": "no-route", "message": "There is nothing there.", "hint": "Look at it."}}
    tower.answers["GET", "/api/orphans"] = (404, no_route)
    assert said not in afx("orphans").err
    facts = json.loads((home / "tower.json").read_text())
    (home / "tower.json").write_text(json.dumps({**facts, "version": "0.0.1"}))
    done = afx("orphans")
    check(done, 2, "There is nothing there.")
    assert said in done.err
    tower.answers["GET", "/api/state"] = (200, {"tower": {}})
    assert said in afx("status").err
    # A mistake that both understand is told as it is.
    assert said not in afx("logs").err


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("afx.cli.door.connect", interrupt)
    monkeypatch.setattr("afx.cli.status.connect", interrupt)
    assert run(["status"]) == 130


def test_a_reader_that_went_away_is_no_news(tower: StubTower) -> None:
    tower.set_state(workspace("/w", *(agent("shell", f"s{number}") for number in range(2000))))
    with subprocess.Popen(
        [sys.executable, "-m", "afx.cli", "status", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(10)


def test_the_error_of_the_tower_is_passed_on(afx: Afx, tower: StubTower) -> None:
    tower.set_state(workspace("/w", agent("builder", "fix")))
    error = {"code": "unreachable", "message": "It does not answer.", "hint": "Wait."}
    tower.answers["POST", "/api/agents/id-builder-fix/stop"] = (503, {"error": error})
    done = afx("stop", "fix")
    check(done, 1, "It does not answer.")
    assert json.loads(json.dumps(error))["hint"] in done.err


@pytest.fixture
def deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, which is not there any more."""
    path = tmp_path / "deleted"
    path.mkdir()
    monkeypatch.chdir(path)
    path.rmdir()
    return path


@pytest.mark.parametrize(
    "line",
    ["up", "spawn x --task y", "shell", "architect start", "architect list", "workspace stop", "tower start"],
)
def test_a_deleted_directory_is_said(
    afx: Afx, deleted: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    # A variable that may hold a relative path, too, has to be understood from the current directory.
    monkeypatch.setenv("AFX_ARCHITECT_ROLE", "role.md")
    done = afx(*line.split())
    assert done.status == 2
    assert done.err.splitlines()[0] == "Error: The current directory was deleted."
    assert not deleted.exists()


@pytest.mark.usefixtures("tower", "deleted")
@pytest.mark.parametrize("line", ["status", "config tower.port", "plugins", "tower status", "workspace list"])
def test_what_needs_no_directory_works_without_one(afx: Afx, line: str) -> None:
    done = afx(*line.split())
    assert (done.status, done.err) == (0, "")


def test_what_the_system_has_none_left_of_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(OSError(errno.EMFILE, "Too many open files")) == 1
    assert capsys.readouterr().err.splitlines() == [
        "Error: The system refuses: Too many open files.",
        "Hint: `afx doctor` says what is short.",
    ]
