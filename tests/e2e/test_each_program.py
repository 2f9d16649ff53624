"""Each kind of program comes back as it can: told its id, choosing its own, or keeping no conversation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afx.testing.follower import Follower, type_into
from afx.testing.tower_process import TowerProcess
from e2e.conftest import serve
from e2e.rows import rows
from e2e.steps import conversation_ids, forget_ids, kill_everything, recover, spawn, talk

# A stranger's harness, as small as one can be. Its program takes none of the others' flags.
PLAIN = """
from afx.plugin import API_VERSION, Command, HarnessEntry, HarnessProvider, hookimpl

class Plain(HarnessProvider):
    name = "plain"
    commands = ("plain",)

    def launch(self, request):
        role = request.directory + "/role"
        task = () if request.task is None else ("--", request.task)
        argv = (self.find(request.env), *request.session_args, "--role", role, *request.args, *task)
        return Command(argv=argv, env=request.env, cwd=request.cwd, files={role: request.role})

@hookimpl
def afx_harnesses():
    return [
        HarnessEntry(
            name="plain",
            summary="Plain.",
            factory="plain_harness:Plain",
            api_version=API_VERSION,
            commands=("plain",),
        )
    ]
"""
STRAY = "99999999-9999-4999-8999-999999999999"
with_sessions = pytest.mark.parametrize("harness", ["claude", "codex"])


@pytest.fixture
def tower(short_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TowerProcess]:
    """A Tower beside which a stranger's plugin is installed."""
    metadata = short_directory / "site" / "plain_harness-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plain-harness\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[afx]\nplain = plain_harness\n")
    (metadata.parent / "plain_harness.py").write_text(PLAIN)
    monkeypatch.setenv("PYTHONPATH", str(metadata.parent), prepend=os.pathsep)
    yield from serve(short_directory)


def two(tower: TowerProcess, workspace: str, harness: str) -> dict[str, Any]:
    """Two builders who each have had a word, and whose ids are stored."""
    for name in ("a", "b"):
        talk(tower, spawn(tower, workspace, name, harness=harness), f"I am {name}")
    tower.eventually(lambda: all(agent["conversation"] for agent in tower.agents().values()))
    return {name: tower.agents()[f"builder/{name}"] for name in ("a", "b")}


def transcript(tower: TowerProcess, conversation_id: str) -> Path:
    """Return the transcript of a conversation, of whichever program."""
    home = Path(tower.env["HOME"])
    (path,) = [
        *home.glob(f".claude/projects/*/{conversation_id}.jsonl"),
        *home.glob(f".codex/sessions/*/*/*/rollout-*-{conversation_id}.jsonl"),
    ]
    return path


def turns(tower: TowerProcess, name: str) -> int:
    """Return how many turns an agent's program knew of when it came up."""
    follower = Follower(tower, tower.agents()[name]["terminal"]["id"])
    found = follower.wait_for(rb"turns=(\d+)")
    follower.close()
    return int(found[1])


@with_sessions
def test_each_continues_its_own_conversation_even_beside_a_stray_one_lesson_17(
    tower: TowerProcess, workspace: str, harness: str
) -> None:
    agents = two(tower, workspace, harness)
    kill_everything(tower)
    mine = transcript(tower, agents["a"]["conversation"]["id"])
    stray = mine.with_name(mine.name.replace(agents["a"]["conversation"]["id"], STRAY))
    stray.write_text(mine.read_text().replace(agents["a"]["conversation"]["id"], STRAY))
    tower.start()
    recover(tower)
    for name, agent in agents.items():
        now = tower.agents()[f"builder/{name}"]
        assert now["conversation"] == agent["conversation"]
        assert turns(tower, f"builder/{name}") == 1


@with_sessions
def test_without_stored_ids_the_transcript_is_found(
    tower: TowerProcess, workspace: str, harness: str
) -> None:
    agents = two(tower, workspace, harness)
    kill_everything(tower)
    forget_ids(tower)
    tower.start()
    recover(tower)
    for name, agent in agents.items():
        now = tower.agents()[f"builder/{name}"]
        assert now["conversation"] == {"id": agent["conversation"]["id"], "source": "discovered"}
        assert turns(tower, f"builder/{name}") == 1


@with_sessions
def test_another_conversation_begun_in_the_program_is_followed(
    tower: TowerProcess, workspace: str, harness: str
) -> None:
    agent = spawn(tower, workspace, "a", harness=harness)
    talk(tower, agent, "hello")
    old = tower.eventually(lambda: tower.agents()["builder/a"]["conversation"])["id"]
    type_into(tower, agent["terminal"]["id"], b"/clear\r")
    follower = Follower(tower, agent["terminal"]["id"])
    follower.wait_for(rb"cleared")
    follower.close()
    talk(tower, agent, "goodbye")
    new = tower.eventually(lambda: (one := tower.agents()["builder/a"]["conversation"])["id"] != old and one)
    assert new["source"] == "captured"
    assert conversation_ids(tower, agent) == [new["id"], old]
    kill_everything(tower)
    tower.start()
    recover(tower)
    assert tower.agents()["builder/a"]["conversation"] == new
    follower = Follower(tower, tower.agents()["builder/a"]["terminal"]["id"])
    follower.wait_for(rb"turns=1")
    follower.close()
    assert "goodbye" in transcript(tower, new["id"]).read_text()


def test_a_program_without_conversations_starts_fresh_and_gets_no_flag_lesson_21(
    tower: TowerProcess, workspace: str
) -> None:
    agent = spawn(tower, workspace, "a", harness="plain", task="mend the roof", args=["--fast"])
    talk(tower, agent, "hello")
    for _ in range(2):
        kill_everything(tower)
        tower.start()
        (row,) = tower.request("POST", "/api/recover", {})["rows"]
        assert (row["plan"]["action"], row["plan"]["rung"]) == ("begin", "fresh")
        assert "has no conversations" in row["plan"]["why"]
        recover(tower)
        now = tower.agents()["builder/a"]
        assert now["conversation"] is None
        assert turns(tower, "builder/a") == 0
        argv = Path(f"/proc/{now['terminal']['pid']}/cmdline").read_bytes().decode().split("\0")
        role = str(tower.home / "agents" / agent["id"] / "role")
        assert argv[argv.index("plain") + 1 : -1] == ["--role", role, "--fast", "--", "mend the roof"]
    assert conversation_ids(tower, agent) == []


def empty(path: Path) -> None:
    path.write_text("")


def cut_in_the_first_line(path: Path) -> None:
    os.truncate(path, 20)


def move_to_another_directory(path: Path) -> None:
    """Make it a transcript of another directory, as both programs tell directories apart."""
    text = path.read_text().replace("/.builders/a", "/.builders/other")
    path.unlink()
    if path.parent.parent.name == "projects":
        path = path.parent.with_name(path.parent.name[:-1] + "other") / path.name
        path.parent.mkdir()
    path.write_text(text)


GONE = "There is no transcript of it that could be resumed."
REFUSED = "It was tried just now, and failed again and again."


@pytest.mark.parametrize(
    ("harness", "harm", "reason"),
    [
        *((harness, harm, GONE) for harness in ("claude", "codex") for harm in (Path.unlink, empty)),
        *((harness, cut_in_the_first_line, GONE) for harness in ("claude", "codex")),
        ("claude", move_to_another_directory, REFUSED),
    ],
)
def test_an_id_that_cannot_be_resumed_is_kept_and_the_next_rung_taken_lesson_18(
    tower: TowerProcess, workspace: str, harness: str, harm: Callable[[Path], None], reason: str
) -> None:
    agent = spawn(tower, workspace, "a", harness=harness)
    talk(tower, agent, "hello")
    agent = tower.eventually(lambda: (one := tower.agents()["builder/a"])["conversation"] and one)
    old = agent["conversation"]["id"]
    kill_everything(tower)
    harm(transcript(tower, old))
    tower.start()
    recover(tower)
    talk(tower, tower.agents()["builder/a"], "again")
    new = tower.eventually(lambda: (one := tower.agents()["builder/a"]["conversation"]["id"]) != old and one)
    assert turns(tower, "builder/a") == 0
    assert conversation_ids(tower, agent) == [new, old]
    assert reason in explained(tower, workspace)


def test_an_id_of_another_harness_is_passed_over_lesson_21(tower: TowerProcess, workspace: str) -> None:
    agent = spawn(tower, workspace, "a")
    talk(tower, agent, "hello")
    old = agent["conversation"]["id"]
    kill_everything(tower)
    with rows(tower.home / "afx.db") as database:
        database.execute("DROP TRIGGER conversations_are_not_changed")
        database.execute("UPDATE conversations SET harness = 'codex'")
    tower.start()
    recover(tower)
    said = explained(tower, workspace)
    assert "It is a conversation of codex, not of claude." in said
    assert tower.agents()["builder/a"]["conversation"]["id"] == old, "its own transcript was found"
    assert tower.agents()["builder/a"]["state"] == "running"


def explained(tower: TowerProcess, workspace: str) -> str:
    """Return what `afx explain` says of the builder a."""
    done = subprocess.run(
        [sys.executable, "-m", "afx.cli", "explain", "builder/a"],
        cwd=workspace,
        env={**tower.env, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
