"""What commands ask of the Tower, and what they print of its answers."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from afx import __version__
from afx.cli.lines import LinesConsole, text_lines
from cli.conftest import Afx
from cli.stub import NOW, StubTower, agent, workspace


@pytest.fixture
def registered(tower: StubTower, repository: Path) -> StubTower:
    """The Tower knows the repository that is the current directory, with one agent of each kind."""
    path = str(repository)
    tower.set_state(
        workspace(
            path,
            agent("architect", "main", harness="claude"),
            agent("builder", "fix", branch="builder/fix"),
            agent("shell", "one", state="lost", reason="Its holder was killed."),
        )
    )
    tower.answers["POST", "/api/workspaces"] = (201, {"path": path, "name": "repository", "active": True})
    return tower


def made(tower: StubTower, kind: str, name: str, *notes: str, **facts: Any) -> None:
    tower.answers["POST", "/api/agents"] = (201, {"agent": agent(kind, name, **facts), "notes": list(notes)})


def test_status_for_people(afx: Afx, registered: StubTower, repository: Path) -> None:
    done = afx("status")
    assert done.status == 0
    assert f"Tower {__version__} at {registered.url}, up " in done.out
    assert str(repository) in done.out
    lines = [line.split() for line in done.out.splitlines()]
    assert ["architect/main", "running", "claude"] in [line[:3] for line in lines]
    assert ["shell/one", "lost", "Its", "holder", "was", "killed."] in lines
    assert "\x1b" not in done.out


def test_json_is_the_towers_own(afx: Afx, registered: StubTower) -> None:
    state = registered.answers["GET", "/api/state"][1]
    assert json.loads(afx("status", "--json").out) == state
    assert json.loads(afx("workspace", "list", "--json").out) == state["workspaces"]


def test_colours_on_a_terminal_only_and_never_with_no_color(
    registered: StubTower, monkeypatch: pytest.MonkeyPatch
) -> None:
    from afx.cli.main import run

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    for no_color, coloured in ((None, True), ("1", False)):
        screen = Screen()
        monkeypatch.setattr("sys.stdout", screen)
        if no_color:
            monkeypatch.setenv("NO_COLOR", no_color)
        assert run(["status"]) == 0
        assert ("\x1b[32m" in screen.getvalue()) is coloured
    assert registered.asked


def test_text_of_others_moves_no_cursor(afx: Afx, tower: StubTower) -> None:
    tower.set_state(workspace("/w\x1b]0;x\x07", agent("shell", "a", reason="evil\x1b[2J\nline")))
    assert "\x1b" not in afx("status").out
    assert "evil [2J line" in afx("status").out


def test_spawn(afx: Afx, registered: StubTower, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFX_AGENT", "id-architect-main")
    made(registered, "builder", "fix", harness="claude", branch="b", cwd=str(repository / ".builders/fix"))
    done = afx(
        "spawn", "fix", "--task", "Do it", "--harness", "claude", "--branch", "b", "--", "--model", "opus"
    )
    assert (done.status, done.err) == (0, "")
    assert "builder/fix runs claude in .builders/fix on branch b." in done.out
    assert registered.body_of("POST", "/api/agents") == {
        "workspace": str(repository),
        "kind": "builder",
        "name": "fix",
        "task": "Do it",
        "harness": "claude",
        "branch": "b",
        "args": ["--model", "opus"],
        "spawned_by": "id-architect-main",
    }


def test_an_empty_name_is_for_the_tower_to_refuse(afx: Afx, registered: StubTower) -> None:
    made(registered, "builder", "task-1", branch="b")
    afx("spawn", "", "--task", "x")
    assert registered.body_of("POST", "/api/agents")["name"] == ""


def test_spawn_without_a_name_takes_no_argument_for_one(
    afx: Afx, registered: StubTower, repository: Path, tmp_path: Path
) -> None:
    made(registered, "builder", "task-1", "A note.", branch="b")
    (tmp_path / "task.md").write_text("Long\ntext\n")
    done = afx("spawn", "--file", str(tmp_path / "task.md"), "--json", "--", "--model")
    assert json.loads(done.out)["agent"]["name"] == "task-1"
    assert registered.body_of("POST", "/api/agents") == {
        "workspace": str(repository),
        "kind": "builder",
        "task": "Long\ntext\n",
        "args": ["--model"],
    }


def test_shell(afx: Afx, registered: StubTower) -> None:
    made(registered, "shell", "1", "Something to know.")
    done = afx("shell")
    assert "afx attach shell/1" in done.out
    assert done.err == "Something to know.\n"
    assert registered.body_of("POST", "/api/agents")["kind"] == "shell"


@pytest.mark.parametrize(
    ("name", "delivered", "says"),
    [
        ("builder/fix", True, "Sent to builder/fix."),
        ("builder/fix", False, "builder/fix cannot take a message now"),
        ("shell/one", False, "shell/one is lost; the message waits until it runs."),
    ],
)
def test_send(afx: Afx, registered: StubTower, name: str, delivered: bool, says: str) -> None:
    path = f"/api/agents/id-{name.replace('/', '-')}/send"
    registered.answers["POST", path] = (200, {"delivered": delivered})
    assert says in afx("send", name, "héllo").out
    assert registered.body_of("POST", path) == {"text": "héllo"}


def test_send_from_standard_input(afx: Afx, registered: StubTower, monkeypatch: pytest.MonkeyPatch) -> None:
    registered.answers["POST", "/api/agents/id-builder-fix/send"] = (200, {"delivered": True})
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n"))
    assert json.loads(afx("send", "fix", "-", "--json").out) == {"delivered": True}
    assert registered.body_of("POST", "/api/agents/id-builder-fix/send") == {"text": "one\ntwo\n"}
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    assert afx("send", "fix", "-").status == 2


def test_stop_and_cleanup(afx: Afx, registered: StubTower) -> None:
    builder = agent("builder", "fix")
    registered.answers["POST", "/api/agents/id-builder-fix/stop"] = (200, builder)
    registered.answers["DELETE", "/api/agents/id-builder-fix"] = (200, {"agent": builder, "notes": ["Gone."]})
    assert "builder/fix is stopped." in afx("stop", "fix").out
    assert afx("cleanup", "fix", "--force") == (0, "builder/fix is removed.\n", "Gone.\n")
    assert ("DELETE", "/api/agents/id-builder-fix?force=1", None) in registered.asked
    assert json.loads(afx("stop", "fix", "--json").out) == builder


def test_workspaces(afx: Afx, registered: StubTower, repository: Path) -> None:
    path = str(repository)
    registered.answers["POST", "/api/workspaces/stop"] = (200, {"stopped": ["a"]})
    registered.answers["POST", "/api/workspaces/forget"] = (204, None)
    assert path in afx("workspace", "start").out
    assert afx("workspace", "stop", path).out == f"{path} is stopped, and 1 agent with it.\n"
    assert afx("workspace", "list").out.split() == ["repository", "active", "3", "agents", path]
    assert afx("workspace", "forget").status == 0
    assert registered.body_of("POST", "/api/workspaces/forget") == {"path": path}


def test_logs(afx: Afx, registered: StubTower) -> None:
    output = b"one\r\n\x1b[31mtwo\x1b[0m\r\n12%\r99%\r\nlast"
    registered.answers["GET", "/api/terminals/t-builder-fix/output"] = (200, output)
    assert afx("logs", "fix").out == "one\ntwo\n99%\nlast\n"
    assert afx("logs", "fix", "-n", "2").out == "99%\nlast\n"
    assert afx("logs", "fix", "--raw").out.encode() == output.replace(b"\r\n", b"\r\n")


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (b"", []),
        (b"\x1b]2;title\x07text\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", ["textlink"]),
        (b"\x1bP1$r0m\x1b\\a\x1b(Bb\x1b7c\x1b=", ["abc"]),
        (b"caf\xc3\xa9\x00\x07\x9b", ["café\ufffd"]),
        (b"cut\x1b[3", ["cut"]),
        (b"a\r\n\r\nb\r\n\r\n", ["a", "", "b"]),
        (b"\tx  ", ["\tx"]),
    ],
)
def test_output_as_text(output: bytes, lines: list[str]) -> None:
    assert text_lines(output) == lines


async def test_lines_are_printed_once_they_are_complete(capfd: pytest.CaptureFixture[str]) -> None:
    console = LinesConsole(raw=False)
    shown = []
    for piece in (b"one\r\ntw", b"o caf\xc3", b"\xa9\x1b[3", b"1m!\x1b[0m\n\n12%\r99%", b"\r\n\n"):
        await console.write(piece)
        shown.append(capfd.readouterr().out)
    assert shown == ["one\n", "", "", "two café!\n\n", "99%\n\n"]


async def test_a_line_without_an_end_is_printed_all_the_same_lesson_34(
    capfd: pytest.CaptureFixture[str],
) -> None:
    console = LinesConsole(raw=False)
    for _ in range(70):
        await console.write(b"x" * 1000)
    assert capfd.readouterr().out.strip() == "x" * 66_000


async def test_raw_output_is_passed_on_byte_for_byte(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    await LinesConsole(raw=True).write(b"\x1b[31m\xffpart")
    assert capfdbinary.readouterr().out == b"\x1b[31m\xffpart"


def test_plugins_need_no_tower(afx: Afx) -> None:
    rows = json.loads(afx("plugins", "--json").out)
    fields = "kind name summary distribution version state error hint since warnings tower"
    assert set(rows[0]) == set(fields.split())
    assert {"claude", "shellper", "sqlite"} <= {row["name"] for row in rows}
    assert "shellper" in afx("plugins").out


def test_config(afx: Afx, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "afx.toml").write_text('[tower]\nport = 4200\n[agent]\nharness = "codex"\n')
    monkeypatch.setenv("AFX_PORT", "4300")
    assert afx("config", "tower.port").out == "4300\n"
    lines = [line.split() for line in afx("config").out.splitlines()]
    assert ["tower.port", "4300", "AFX_PORT"] in lines
    assert ["agent.harness", "codex", "afx.toml"] in lines
    assert ["storage.name", "sqlite", "default"] in lines
    facts = json.loads(afx("config", "--json").out)
    assert facts["tower.port"]["value"] == 4300
    assert facts["tower.port"]["origin"] == "AFX_PORT"
    assert json.loads(afx("config", "agent.harness", "--json").out)["value"] == "codex"
    assert afx("config", "agent.allow_unattended").out == "true\n"


def test_up_where_all_runs_already(afx: Afx, registered: StubTower) -> None:
    done = afx("up")
    assert done.status == 0
    assert "All runs already" in done.out
    assert registered.url in done.out
    assert [path for method, path, _ in registered.asked if method == "POST"] == ["/api/workspaces"]


def test_up_starts_an_architect(afx: Afx, registered: StubTower, repository: Path) -> None:
    registered.set_state(workspace(str(repository)))
    made(registered, "architect", "main", harness="claude")
    done = afx("up", "--json")
    assert json.loads(done.out)["agent"]["harness"] == "claude"
    assert registered.body_of("POST", "/api/agents") == {
        "workspace": str(repository),
        "kind": "architect",
        "name": "main",
    }


def test_up_starts_an_architect_that_is_down(afx: Afx, registered: StubTower, repository: Path) -> None:
    down = agent("architect", "main", state="lost")
    registered.set_state(workspace(str(repository), down))
    plan = {"action": "resume", "rung": "stored", "session_id": "x", "confidence": "certain", "why": "Why."}
    back = agent("architect", "main", harness="claude")
    answer = {"agent": back, "plan": plan, "notes": ["Noted."]}
    registered.answers["POST", "/api/agents/id-architect-main/resume"] = (200, answer)
    done = afx("up")
    assert "architect/main (claude), running" in done.out
    assert done.err == ("architect/main is back with its conversation x (stored, certain). Why.\nNoted.\n")


def test_up_takes_a_shell_where_no_harness_is_installed(
    afx: Afx, registered: StubTower, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from afx.api.errors import BadInputError
    from afx.client.http import TowerClient

    registered.set_state(workspace(str(repository)))
    made(registered, "shell", "main")
    post = TowerClient.post

    def refuse_architects(self: TowerClient, path: str, body: dict[str, object] | None = None) -> object:
        if body is not None and body.get("kind") == "architect":
            raise BadInputError("No agent program is installed.", hint="Install one.", code="no-harness")
        return post(self, path, body)

    monkeypatch.setattr(TowerClient, "post", refuse_architects)
    done = afx("up")
    assert "a plain shell takes the architect's place" in done.err
    assert "shell/main, running" in done.out


def test_up_starts_an_architect_beside_the_shell_that_took_its_place(
    afx: Afx, registered: StubTower, repository: Path
) -> None:
    registered.set_state(workspace(str(repository), agent("shell", "main")))
    made(registered, "architect", "main", harness="codex")
    done = afx("up", "--harness", "codex")
    assert registered.body_of("POST", "/api/agents")["harness"] == "codex"
    assert "architect/main (codex), running" in done.out
    assert done.err == "shell/main, which took the architect's place, is left as it is.\n"


def test_up_stays_with_the_shell_where_still_no_harness_is_installed(
    afx: Afx, registered: StubTower, repository: Path
) -> None:
    registered.set_state(workspace(str(repository), agent("shell", "main")))
    refusal = {"code": "no-harness", "message": "No agent program is installed.", "hint": "Install one."}
    registered.answers["POST", "/api/agents"] = (400, {"error": refusal})
    done = afx("up")
    assert done.status == 0
    assert "All runs already: the Tower, this workspace, shell/main." in done.out


def test_up_says_that_an_architect_keeps_its_program(afx: Afx, registered: StubTower) -> None:
    assert "keeps its program, claude." in afx("up", "--harness", "codex").err
    assert afx("up", "--harness", "claude").err == ""
    assert ("POST", "/api/agents") not in [(method, path) for method, path, _ in registered.asked]


def test_down_names_the_agents_it_could_not_stop_and_goes_on(
    afx: Afx, registered: StubTower, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[Path] = []

    def stop(home: Path) -> int:
        stopped.append(home)
        return 1

    monkeypatch.setattr("afx.cli.launcher.stop", stop)
    refusal = {"code": "unreachable", "message": "It does not answer.", "hint": "Wait."}
    registered.answers["POST", "/api/agents/id-architect-main/stop"] = (503, {"error": refusal})
    for name in ("builder-fix", "shell-one"):
        registered.answers["POST", f"/api/agents/id-{name}/stop"] = (200, {})
    done = afx("down", "--agents")
    assert done.status == 1
    assert done.out == "builder/fix is stopped.\nshell/one is stopped.\nThe Tower is stopped.\n"
    assert done.err.splitlines()[0] == "Error: architect/main could not be stopped. It does not answer."
    assert len(stopped) == 1


def test_workspace_stop_names_the_agents_it_could_not_stop(afx: Afx, registered: StubTower) -> None:
    failed = [{"agent": "b", "name": "builder/fix", "message": "It does not answer."}]
    registered.answers["POST", "/api/workspaces/stop"] = (200, {"stopped": ["a"], "failed": failed})
    done = afx("workspace", "stop")
    assert done.status == 1
    assert "and 1 agent with it." in done.out
    assert done.err == "Error: builder/fix could not be stopped. It does not answer.\n"
    assert afx("workspace", "stop", "--json").status == 1


def test_the_status_of_a_tower_of_before_who_waits_was_known(afx: Afx, registered: StubTower) -> None:
    for one in registered.answers["GET", "/api/state"][1]["workspaces"]:
        for member in one["agents"]:
            del member["doing"]
    assert "builder/fix" in afx("status").out


def test_a_tower_of_another_version_than_this_afx_is_said(afx: Afx, registered: StubTower) -> None:
    said = f"Installed is afx {__version__}; `afx tower restart` starts that. Terminals live on."
    for command in (("status",), ("tower", "status")):
        assert said not in afx(*command).out
    registered.answers["GET", "/api/state"][1]["tower"]["version"] = "0.0.1"
    for command in (("status",), ("tower", "status")):
        assert said in afx(*command).out.splitlines()


def test_open_prints_an_address_where_there_is_no_browser(afx: Afx, registered: StubTower) -> None:
    registered.answers["POST", "/api/login-codes"] = (200, {"code": "abc", "expires_in": 60})
    assert afx("open").out == f"{registered.url}/#code=abc\n"


@pytest.mark.usefixtures("registered")
def test_tower_status(afx: Afx, home: Path) -> None:
    done = afx("tower", "status")
    assert done.status == 0
    assert "1 workspace, 3 agents: 1 lost, 2 running" in done.out
    facts = json.loads(afx("tower", "status", "--json").out)
    assert facts["running"] is True
    assert facts["states"] == {"running": 2, "lost": 1}
    assert facts["started_at"] == NOW
    (home / "tower.json").unlink()
    done = afx("tower", "status")
    assert (done.status, done.out) == (3, "The Tower is not running. Start it with `afx tower start`.\n")
    assert json.loads(afx("tower", "status", "--json").out) == {
        "running": False,
        "starting": False,
        "pid": None,
        "home": str(home),
    }
