"""`afx workspace recover`: what it shows, asks, tells, and how it ends."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from afx.cli.main import run
from cli.conftest import Afx
from cli.stub import StubTower, agent, workspace
from cli.test_resuming import FRESH, ONE, STORED, plan

MISSING = plan("refuse", None, None, "The directory it works in is gone.")
ROWS: list[dict[str, Any]] = [
    {"agent": "1", "name": "architect/main", "eligibility": "eligible", "plan": STORED},
    {"agent": "2", "name": "builder/a", "eligibility": "eligible", "plan": FRESH},
    {"agent": "3", "name": "builder/b", "eligibility": "stopped on purpose", "plan": STORED},
    {"agent": "4", "name": "builder/c", "eligibility": "stale", "plan": STORED},
    {"agent": "5", "name": "builder/d", "eligibility": "worktree missing", "plan": MISSING},
    {"agent": "6", "name": "builder/e", "eligibility": "exited", "reason": "It was ended.", "plan": STORED},
]
END = {"event": "end", "revived": 2, "failed": 0, "skipped": 0}
NEWS: list[dict[str, Any]] = [
    {"event": "begin", "agents": ["1", "2"]},
    {"event": "starting", "agent": "1", "name": "architect/main"},
    {"event": "starting", "agent": "2", "name": "builder/a"},
    {"event": "revived", "agent": "1", "name": "architect/main", "plan": STORED, "message": "A note."},
    {"event": "revived", "agent": "2", "name": "builder/a", "plan": FRESH},
    END,
]
FAILURE = {"event": "failed", "agent": "2", "name": "builder/a", "message": "Its program is not installed."}
SOME_FAILED = [*NEWS[:4], FAILURE, {**END, "revived": 1, "failed": 1}]
STOPPED = "A person stopped it; `afx start builder/b` brings it back."
EXITED = "It was ended. `afx start builder/e` brings it back."
GONE = (
    "The directory it works in is gone. Make it again (`git worktree add -f`), or remove the agent: "
    "`afx cleanup builder/d`."
)
STALE = "It has shown no sign of life for long; --include-stale counts it in."


def lines(news: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in news)


@pytest.fixture
def down(tower: StubTower, repository: Path) -> StubTower:
    """Six agents of the repository that is the current directory do not run."""
    agents = [agent(*row["name"].split("/"), state="lost", id=row["agent"]) for row in ROWS]
    tower.set_state(workspace(str(repository), *agents))
    tower.answers["POST", "/api/recover"] = (200, {"rows": ROWS})
    tower.answers["POST", "/api/recover/apply"] = (200, lines(NEWS))
    return tower


def test_a_dry_run_shows_and_changes_nothing_lesson_30(afx: Afx, down: StubTower, repository: Path) -> None:
    done = afx("workspace", "recover")
    assert (done.status, done.err) == (0, "")
    shown = [" ".join(line.split()) for line in done.out.splitlines()]
    assert shown == [
        "AGENT STATE RUNG CONVERSATION EVIDENCE CONFIDENCE WHY",
        f"architect/main eligible stored {ONE} found certain It is there.",
        "builder/a eligible fresh none There is no transcript. Nothing was found.",
        f"builder/b stopped on purpose stored {ONE} found certain {STOPPED}",
        f"builder/c stale stored {ONE} found certain {STALE}",
        f"builder/d worktree missing none {GONE}",
        f"builder/e exited stored {ONE} found certain {EXITED}",
        "",
        "2 of 6 agents can be brought back.",
        "Nothing was changed. `--apply` brings them back.",
    ]
    assert down.body_of("POST", "/api/recover") == {
        "workspace": str(repository),
        "max_age_days": 14.0,
        "include_stale": False,
    }
    assert json.loads(afx("workspace", "recover", "--json").out) == {"rows": ROWS}
    assert {path for _, path, _ in down.asked} == {"/api/recover"}


def test_options_settings_and_places(afx: Afx, down: StubTower, repository: Path) -> None:
    (repository / "afx.toml").write_text("recover.max_age_days = 3\nrecover.jobs = 2\n")
    assert afx("workspace", "recover", str(repository), "--include-stale").status == 0
    assert down.body_of("POST", "/api/recover") == {
        "workspace": str(repository),
        "max_age_days": 3.0,
        "include_stale": True,
    }
    down.asked.clear()
    done = afx("workspace", "recover", "--all", "--apply", "--yes", "--max-age", "0.5", "--jobs", "8")
    assert done.status == 0
    assert done.out.split()[0] == "WORKSPACE"
    assert down.body_of("POST", "/api/recover") == {"max_age_days": 0.5, "include_stale": False}
    assert down.body_of("POST", "/api/recover/apply") == {
        "max_age_days": 0.5,
        "include_stale": False,
        "jobs": 8,
        "agents": ["1", "2"],
    }


def test_apply_tells_of_each_in_the_order_it_happens(afx: Afx, down: StubTower) -> None:
    done = afx("workspace", "recover", "--apply", "--yes")
    assert done.status == 0
    assert done.out.splitlines()[-3:] == [
        f"architect/main is back with its conversation {ONE} (stored): A note.",
        "builder/a has begun a new conversation (fresh). There is no transcript. Nothing was found.",
        "2 brought back, 0 failed.",
    ]
    assert down.body_of("POST", "/api/recover/apply")["jobs"] == 4
    done = afx("workspace", "recover", "--apply", "--yes", "--json")
    assert [json.loads(line) for line in done.out.splitlines()] == NEWS


def test_a_shell_has_no_conversation_to_tell_of(afx: Afx, down: StubTower) -> None:
    anew = plan("begin", "fresh", None, "A shell has no conversation; it is started anew.")
    news: list[dict[str, Any]] = [
        {"event": "begin", "agents": ["1"]},
        {"event": "revived", "agent": "1", "name": "shell/1", "plan": anew},
    ]
    down.answers["POST", "/api/recover/apply"] = (200, lines([*news, {**END, "revived": 1}]))
    done = afx("workspace", "recover", "--apply", "--yes")
    assert done.out.splitlines()[-2:] == ["shell/1 runs again", "1 brought back, 0 failed."]


def test_one_failure_is_told_with_its_reason_and_in_the_status(afx: Afx, down: StubTower) -> None:
    down.answers["POST", "/api/recover/apply"] = (200, lines(SOME_FAILED))
    done = afx("workspace", "recover", "--apply", "--yes")
    assert done.status == 1
    assert done.out.splitlines()[-2:] == [
        "builder/a failed: Its program is not installed.",
        "1 brought back, 1 failed.",
    ]
    assert done.err.splitlines() == [
        "builder/a failed: Its program is not installed.",
        "  `afx explain builder/a` says more.",
    ]
    assert afx("workspace", "recover", "--apply", "--yes", "--json").status == 1


def test_who_came_back_meanwhile_needed_nothing_lesson_28(afx: Afx, down: StubTower) -> None:
    news = [*NEWS[:4], {"event": "attached", "agent": "2", "name": "builder/a"}]
    news += [{"event": "end", "revived": 1, "failed": 0, "skipped": 1}]
    down.answers["POST", "/api/recover/apply"] = (200, lines(news))
    done = afx("workspace", "recover", "--apply", "--yes")
    assert done.status == 0
    assert done.out.splitlines()[-2:] == [
        "builder/a runs already.",
        "1 brought back, 0 failed, 1 needed nothing.",
    ]


def test_a_tower_that_goes_away_is_said_with_how_far_it_was(afx: Afx, down: StubTower) -> None:
    for cut in (lines(NEWS[:4]), lines(NEWS[:4]) + b'{"event": "rev'):
        down.answers["POST", "/api/recover/apply"] = (200, cut)
        done = afx("workspace", "recover", "--apply", "--yes")
        assert done.status == 1
        assert "The Tower went away" in done.err


@pytest.mark.usefixtures("down")
def test_without_a_person_it_wants_to_be_told_yes(afx: Afx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    done = afx("workspace", "recover", "--apply")
    assert done.status == 2
    assert "Nobody is there to be asked whether 2 agents shall be brought back." in done.err
    assert "Add --yes." in done.err


@pytest.mark.parametrize(("says", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_a_person_is_asked(
    afx: Afx, down: StubTower, monkeypatch: pytest.MonkeyPatch, says: str, status: int
) -> None:
    class Seat(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Seat(says))
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return says.strip()

    monkeypatch.setattr("click.termui.visible_prompt_func", answer)
    done = afx("workspace", "recover", "--apply")
    assert done.status == status
    # Which of the two gets the question depends on click's version.
    assert "Bring 2 agents back? [y/N]:" in done.err + asked[0]
    applied = [path for _, path, _ in down.asked if path == "/api/recover/apply"]
    assert len(applied) == (1 if says == "y\n" else 0)


def test_where_all_run_there_is_nothing_to_do(afx: Afx, down: StubTower) -> None:
    down.answers["POST", "/api/recover"] = (200, {"rows": []})
    assert afx("workspace", "recover", "--apply") == (0, "Every agent runs.\n", "")
    down.answers["POST", "/api/recover"] = (200, {"rows": ROWS[2:]})
    done = afx("workspace", "recover", "--apply")
    assert done.status == 0
    assert done.out.endswith("0 of 4 agents can be brought back.\n")
    assert {path for _, path, _ in down.asked} == {"/api/recover"}


def test_on_a_terminal_it_counts_and_shortens(down: StubTower, monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout", screen)
    down.answers["POST", "/api/recover/apply"] = (200, lines(SOME_FAILED))
    assert run(["workspace", "recover", "--apply", "--yes"]) == 1
    shown = screen.getvalue()
    assert f"{ONE[:8]}…" in shown
    assert "\r\x1b[K0 of 2 … architect/main, builder/a" in shown
    assert "\r\x1b[K1 of 2 … builder/a\r\x1b[Kbuilder/a failed: Its program" in shown
    assert shown.endswith("\r\x1b[K1 brought back, 1 failed.\n")
