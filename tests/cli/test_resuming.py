"""What the commands that bring agents back ask of the Tower, and how they tell what was done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Afx
from cli.stub import NOW, StubTower, agent, workspace

ONE = "11111111-aaaa-4aaa-8aaa-111111111111"
TWO = "11112222-bbbb-4bbb-8bbb-222222222222"


def step(rung: str, session_id: str | None, why: str, **facts: Any) -> dict[str, Any]:
    return {"rung": rung, "session_id": session_id, "evidence": None, "chosen": False, "why": why, **facts}


def plan(action: str, rung: str | None, session_id: str | None, why: str, *steps: Any) -> dict[str, Any]:
    confidence = "certain" if session_id else "none"
    return {
        "action": action,
        "rung": rung,
        "session_id": session_id,
        "confidence": confidence,
        "why": why,
        "steps": list(steps),
    }


STORED = plan(
    "resume",
    "stored",
    ONE,
    "It is there.",
    step("stored", ONE, "It is there.", evidence="found", chosen=True),
    step("discovered", None, "The rung stored comes before it.", asked=False),
    step("fresh", None, "The rung stored comes before it.", asked=False),
)
FRESH = plan(
    "begin",
    "fresh",
    None,
    "A new conversation can always begin.",
    step("stored", ONE, "There is no transcript.", evidence="missing"),
    step("discovered", None, "Nothing was found."),
    step("fresh", None, "A new conversation can always begin.", chosen=True),
)
ATTACH = plan("attach", None, None, "It runs.")


def revived(kind: str, name: str, made: dict[str, Any], *notes: str, **facts: Any) -> dict[str, Any]:
    return {"agent": agent(kind, name, **{"harness": "claude", **facts}), "plan": made, "notes": list(notes)}


@pytest.fixture
def known(tower: StubTower, repository: Path) -> StubTower:
    """The Tower knows the repository that is the current directory, with two architects and a builder."""
    path = str(repository)
    tower.set_state(
        workspace(
            path,
            agent("architect", "main", harness="claude", conversation={"id": ONE, "source": "minted"}),
            agent("architect", "review", state="lost", harness="codex", reason="It was killed."),
            agent("builder", "fix", state="lost", harness="claude", reason="It was killed."),
        ),
        workspace("/elsewhere", agent("architect", "other")),
    )
    tower.answers["POST", "/api/workspaces"] = (201, {"path": path, "name": "repository", "active": True})
    for label in ("architect-review", "builder-fix"):
        tower.answers["GET", f"/api/agents/id-{label}/conversations"] = (200, CONVERSATIONS)
    return tower


def test_start_says_which_rung_which_id_and_why(afx: Afx, known: StubTower) -> None:
    answer = revived("builder", "fix", STORED, "A note.")
    known.answers["POST", "/api/agents/id-builder-fix/resume"] = (200, answer)
    done = afx("start", "fix")
    assert (done.status, done.err) == (0, "A note.\n")
    assert done.out.splitlines() == [
        f"builder/fix is back with its conversation {ONE} (stored, certain). It is there.",
        "Look at it with `afx attach builder/fix`.",
    ]
    assert known.body_of("POST", "/api/agents/id-builder-fix/resume") == {}
    assert json.loads(afx("start", "fix", "--json").out) == answer


def test_start_says_what_was_passed_over(afx: Afx, known: StubTower) -> None:
    known.answers["POST", "/api/agents/id-builder-fix/resume"] = (200, revived("builder", "fix", FRESH))
    done = afx("start", "fix", "--fresh")
    assert known.body_of("POST", "/api/agents/id-builder-fix/resume") == {"fresh": True}
    assert done.out.splitlines() == [
        "builder/fix has begun a new conversation (fresh). A new conversation can always begin.",
        "Passed over:",
        f"  stored      {ONE}  missing  There is no transcript.",
        "  discovered" + " " * 49 + "Nothing was found.",
        "Look at it with `afx attach builder/fix`.",
    ]


def test_start_of_what_runs_says_so_once(afx: Afx, known: StubTower) -> None:
    answer = revived("builder", "fix", ATTACH, "builder/fix runs already.")
    known.answers["POST", "/api/agents/id-builder-fix/resume"] = (200, answer)
    done = afx("start", "fix", "--id", ONE[:5])
    assert known.body_of("POST", "/api/agents/id-builder-fix/resume") == {"session_id": ONE}
    assert done.out.splitlines()[0] == "builder/fix runs already; nothing was started."
    assert done.err == ""


def test_a_shell_runs_again(afx: Afx, known: StubTower, repository: Path) -> None:
    known.set_state(workspace(str(repository), agent("shell", "one", state="lost")))
    made = plan("begin", "fresh", None, "A shell has no conversations.")
    answer = revived("shell", "one", made, harness=None)
    known.answers["POST", "/api/agents/id-shell-one/resume"] = (200, answer)
    assert afx("start", "one").out.splitlines()[0] == "shell/one runs again."


def test_spawn_resume(afx: Afx, known: StubTower, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFX_AGENT", raising=False)
    known.answers["POST", "/api/agents"] = (201, revived("builder", "fix", STORED))
    done = afx("spawn", "fix", "--resume", "--id", ONE[:5])
    assert done.status == 0
    assert done.out.startswith(f"builder/fix is back with its conversation {ONE} (stored, certain).")
    assert known.body_of("POST", "/api/agents") == {
        "workspace": str(repository),
        "kind": "builder",
        "name": "fix",
        "resume": True,
        "session_id": ONE,
    }


def test_spawn_resume_takes_a_worktree_in_with_a_task(
    afx: Afx, known: StubTower, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFX_AGENT", "id-architect-main")
    known.answers["POST", "/api/agents"] = (201, revived("builder", "old", FRESH))
    done = afx(
        "spawn", "builder/old", "--resume", "--fresh", "--task", "Go on", "--harness", "x", "--", "-m", "y"
    )
    assert done.status == 0
    assert known.body_of("POST", "/api/agents") == {
        "workspace": str(repository),
        "kind": "builder",
        "name": "old",
        "resume": True,
        "fresh": True,
        "task": "Go on",
        "harness": "x",
        "args": ["-m", "y"],
        "spawned_by": "id-architect-main",
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("spawn fix --resume --task again", "so --task means nothing here"),
        ("spawn fix --resume --branch b", "so --branch means nothing here"),
        ("spawn fix --resume --fresh -- --model opus", "so -- means nothing here"),
        ("spawn --resume", "Which builder"),
        ("spawn new --resume --task x --file /dev/null", "Both --task and --file"),
        ("architect start review --harness x", "the program and the arguments it was made with"),
        ("architect start review -- -m x", "the program and the arguments it was made with"),
        ("architect start nobody", "There is no architect 'nobody' in repository"),
        ("architect start other", "There is no architect 'other' in repository"),
        ("architect stop nobody", "no agent 'architect/nobody'"),
        ("architect remove fix", "no agent 'architect/fix'"),
    ],
)
def test_what_cannot_be_meant(afx: Afx, known: StubTower, arguments: str, says: str) -> None:
    done = afx(*arguments.split())
    assert (done.status, done.out) == (2, "")
    assert says in done.err.splitlines()[0]
    assert done.err.splitlines()[1].startswith("Hint: ")
    assert not [path for method, path, _ in known.asked if method == "POST" and path != "/api/workspaces"]


def test_an_architect_comes_back_by_the_same_chain(afx: Afx, known: StubTower) -> None:
    known.answers["POST", "/api/agents/id-architect-review/resume"] = (
        200,
        revived("architect", "review", STORED),
    )
    done = afx("architect", "start", "review", "--id", ONE)
    assert done.out.startswith(f"architect/review is back with its conversation {ONE}")
    assert known.body_of("POST", "/api/agents/id-architect-review/resume") == {"session_id": ONE}


@pytest.mark.parametrize(
    ("arguments", "name"), [("architect start", "main"), ("architect add architect/second", "second")]
)
def test_an_architect_is_made(
    afx: Afx,
    known: StubTower,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    name: str,
) -> None:
    monkeypatch.delenv("AFX_AGENT", raising=False)
    known.set_state(workspace(str(repository)))
    made = {"agent": agent("architect", name, harness="codex"), "notes": ["A note."]}
    known.answers["POST", "/api/agents"] = (201, made)
    done = afx(*arguments.split(), "--harness", "codex", "--", "--model", "x")
    assert f"architect/{name} runs codex in {repository}." in done.out
    assert done.err == "A note.\n"
    assert known.body_of("POST", "/api/agents") == {
        "workspace": str(repository),
        "kind": "architect",
        "name": name,
        "harness": "codex",
        "args": ["--model", "x"],
    }


def test_architects_are_listed_stopped_and_removed(afx: Afx, known: StubTower, repository: Path) -> None:
    lines = [line.split() for line in afx("architect", "list").out.splitlines()]
    assert [line[:3] for line in lines] == [["main", "running", "claude"], ["review", "lost", "codex"]]
    assert lines[0][3] == ONE
    assert [one["name"] for one in json.loads(afx("architect", "list", "--json").out)] == ["main", "review"]
    assert {path for _, path, _ in known.asked} == {"/api/state"}, "listing changes nothing"
    known.answers["POST", "/api/agents/id-architect-main/stop"] = (200, agent("architect", "main"))
    assert "architect/main is stopped." in afx("architect", "stop").out
    known.answers["DELETE", "/api/agents/id-architect-review"] = (200, {"agent": {}, "notes": []})
    assert afx("architect", "remove", "review").out == "architect/review is removed.\n"
    known.set_state(workspace(str(repository)))
    assert "No architect yet." in afx("architect", "list").out


CONVERSATIONS = {
    "conversations": [
        {
            "id": TWO,
            "harness": "claude",
            "source": "discovered",
            "at": NOW,
            "current": False,
            "transcript": None,
        },
        {
            "id": ONE,
            "harness": "claude",
            "source": "minted",
            "at": NOW,
            "current": True,
            "transcript": {
                "path": "/t",
                "size": 14_321,
                "modified_at": NOW,
                "first": "Repair\nthe login \x1b[2J",
                "last": "x" * 500,
            },
        },
    ]
}


@pytest.mark.parametrize("arguments", [("conversations", "fix"), ("conversations", "list", "fix")])
def test_conversations_are_listed(afx: Afx, known: StubTower, arguments: tuple[str, ...]) -> None:
    known.answers["GET", "/api/agents/id-builder-fix/conversations"] = (200, CONVERSATIONS)
    done = afx(*arguments)
    lines = done.out.splitlines()
    assert lines[0].startswith(f"  {TWO}  claude  discovered  ")
    assert lines[0].endswith("  no transcript")
    assert lines[1].startswith(f"* {ONE}  claude  minted  ")
    assert lines[1].endswith("  14 kB")
    assert lines[2] == "    first  Repair the login  [2J"
    assert lines[3].startswith("    last   xxx")
    assert len(lines[3]) < 120
    assert lines[4] == "    file   /t"
    assert json.loads(afx(*arguments, "--json").out) == CONVERSATIONS


def test_an_agent_named_as_a_command_can_be_meant(afx: Afx, known: StubTower, repository: Path) -> None:
    known.set_state(workspace(str(repository), agent("builder", "use")))
    known.answers["GET", "/api/agents/id-builder-use/conversations"] = (200, {"conversations": []})
    for arguments in (["list", "use"], ["builder/use"], ["--json", "builder/use"]):
        assert afx("conversations", *arguments).status == 0
    assert afx("conversations", "builder/use").out == "builder/use has had no conversation yet.\n"


def test_a_conversation_is_chosen_by_the_beginning_of_its_id(afx: Afx, known: StubTower) -> None:
    path = "/api/agents/id-builder-fix/conversations"
    known.answers["GET", path] = known.answers["POST", path] = (200, CONVERSATIONS)
    done = afx("conversations", "use", "fix", "11111")
    assert done.out == f"builder/fix goes on with conversation {ONE} when it is next brought back.\n"
    assert known.body_of("POST", path) == {"use": ONE}
    done = afx("conversations", "use", "fix", "1111")
    assert (done.status, done.out) == (2, "")
    assert "2 conversations begin with '1111'" in done.err
    error = {"code": "bad-input", "message": "It never had a conversation 'zzz'.", "hint": "Look."}
    known.answers["POST", path] = (400, {"error": error})
    assert "never had a conversation" in afx("conversations", "use", "fix", "zzz").err


def test_a_choice_is_taken_back_and_what_runs_is_told(afx: Afx, known: StubTower) -> None:
    path = "/api/agents/id-architect-main/conversations"
    known.answers["POST", path] = (200, CONVERSATIONS)
    done = afx("conversations", "undo", "architect/main")
    assert known.body_of("POST", path) == {"undo": True}
    assert "`afx stop architect/main` and `afx start architect/main` change it now." in done.out


def test_explain(afx: Afx, known: StubTower) -> None:
    known.answers["GET", "/api/agents/id-builder-fix/plan"] = (200, {"plan": STORED, "at": NOW})
    known.answers["POST", "/api/agents/id-builder-fix/resume"] = (200, revived("builder", "fix", FRESH))
    lines = afx("explain", "fix").out.splitlines()
    assert lines[0].startswith("builder/fix was last started ")
    assert lines[0].endswith(f": conversation {ONE} is resumed (stored, certain). It is there.")
    assert lines[1].split() == ["stored", ONE, "found", "chosen", "It", "is", "there."]
    assert [" ".join(line.split()) for line in lines[2:4]] == [
        "discovered not asked The rung stored comes before it.",
        "fresh not asked The rung stored comes before it.",
    ]
    assert lines[5] == "It is lost: It was killed."
    assert lines[6] == "Brought back now: a new conversation begins. A new conversation can always begin."
    assert [" ".join(line.split()) for line in lines[7:]] == [
        f"stored {ONE} missing passed over There is no transcript.",
        "discovered passed over Nothing was found.",
        "fresh chosen A new conversation can always begin.",
    ]
    assert known.body_of("POST", "/api/agents/id-builder-fix/resume") == {"dry_run": True}
    assert json.loads(afx("explain", "fix", "--json").out) == {"plan": STORED, "at": NOW, "now": FRESH}


def test_explain_of_what_runs_asks_nothing_more(afx: Afx, known: StubTower) -> None:
    known.answers["GET", "/api/agents/id-architect-main/plan"] = (200, {"plan": None, "at": None})
    assert afx("explain", "architect/main").out == "architect/main was never started.\n"
    assert not [path for method, path, _ in known.asked if method == "POST"]


def test_status_names_what_helps(afx: Afx, known: StubTower, repository: Path) -> None:
    long = "Its program ended at once, three times in a row, and this is said to its very end."
    known.set_state(
        workspace(
            str(repository),
            agent("builder", "a", state="needs-attention", reason=long),
            agent("builder", "b", state="unreachable", reason="Its holder does not answer."),
            agent("builder", "c", state="lost", reason="Its holder was killed."),
            agent("shell", "d", state="crashed", reason="It was killed by signal 9."),
            agent("shell", "e"),
        ),
        workspace("/w/two words", agent("builder", "f", state="lost")),
    )
    out = afx("status").out
    assert long in out
    assert "builder/a needs attention: `afx attach builder/a`" in out
    assert "`afx start builder/a` tries again" in out
    assert "builder/b: no answer." in out
    assert "2 agents are down: `afx workspace recover` shows how to bring back builder/c, shell/d." in out
    assert "1 agent is down: `afx workspace recover '/w/two words'` shows" in out
