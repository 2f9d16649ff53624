"""A harness is tried before an agent depends on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Afx
from scripts import write_script

DECLARED = """
[harness.foo]
command = "foo"
new = ["--id", "{session_id}"]
resume = ["--resume", "{session_id}"]
role = ["--role", "{role_file}"]
env = { FOO_ROLE = "{role_file}" }
transcripts = { files = "{cwd}/../talks/*.json", cwd = { json = "cwd" } }
"""
ID = "0b5a7d1e-0000-4000-8000-000000000001"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_script(tmp_path / "bin/foo", 'echo "foo version 1.2.3 (x)"')
    monkeypatch.setenv("PATH", str(path.parent), prepend=":")
    return path


def test_nothing_of_a_cloned_repository_runs_before_it_is_trusted(
    afx: Afx, repository: Path, program: Path
) -> None:
    """What is trusted is the part that runs something, as it was when it was looked at."""
    ran = repository.parent / "ran"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    file = repository / "afx.toml"
    file.write_text(DECLARED)

    def refused() -> bool:
        done = afx("harness", "check", "foo")
        return done.status == 2 and f"afx workspace trust {repository}" in done.err

    assert refused()
    assert afx("workspace", "trust", "--revoke").status == 0
    assert refused()
    assert not ran.exists()
    done = afx("workspace", "trust")
    assert "harness.foo  foo" in done.out
    afx("harness", "check", "foo")
    assert ran.exists()
    file.write_text(DECLARED + '[builder]\nbranch_prefix = "x/"\n')
    assert not refused()
    file.write_text(DECLARED.replace('"foo"', '"bar"'))
    assert refused()
    afx("workspace", "trust")
    assert not refused()
    afx("workspace", "trust", "--revoke")
    assert refused()


def test_where_nothing_is_run_nothing_is_trusted(afx: Afx, repository: Path) -> None:
    assert "nothing to trust" in afx("workspace", "trust").out
    (repository / "afx.toml").write_text('[builder]\nbranch_prefix = "x/"\n')
    assert "nothing to trust" in afx("workspace", "trust").out


@pytest.mark.usefixtures("program")
def test_what_is_declared_is_tried(afx: Afx, repository: Path) -> None:
    (repository / "afx.toml").write_text(DECLARED)
    afx("workspace", "trust")
    done = afx("harness", "check", "foo")
    assert done.status == 0
    assert "afx.toml, line 2, column 1" in done.out
    assert "foo, 1.2.3" in done.out
    assert "--role" in done.out
    assert "'Your task.'" in done.out
    assert "none is found" in done.out
    talks = repository.parent / "talks"
    talks.mkdir()
    (talks / f"{ID}.json").write_text(json.dumps({"cwd": str(repository)}))
    found = {one["about"]: one for one in json.loads(afx("harness", "check", "foo", "--json").out)}
    assert found["conversations"]["says"].startswith(f"1 of this directory, the newest {ID}")
    assert found["evidence"]["ok"]


def test_what_is_missing_fails_the_check(afx: Afx, repository: Path) -> None:
    (repository / "afx.toml").write_text(DECLARED)
    afx("workspace", "trust")
    done = afx("harness", "check", "foo")
    assert done.status == 1
    assert "none of foo is on the PATH" in done.out


def test_a_mistake_is_bad_input_with_its_place(afx: Afx, repository: Path) -> None:
    (repository / "afx.toml").write_text(DECLARED.replace('["--id", "{session_id}"]', '["{sesion}"]'))
    afx("workspace", "trust")
    done = afx("harness", "check", "foo")
    assert done.status == 2
    assert (
        "afx.toml, line 4, column 8: harness.foo.new.0 is '{sesion}'; {sesion} is not known here" in done.err
    )


def test_a_section_of_an_installed_one_is_said_to_declare_nothing(afx: Afx, repository: Path) -> None:
    assert "note    section:" not in afx("harness", "check", "claude").out
    (repository / "afx.toml").write_text('\n[harness.claude]\ncommand = "foo"\n')
    afx("workspace", "trust")
    said = afx("harness", "check", "claude").out
    assert f"[harness.claude], {repository}/afx.toml, line 2, column 1, is left to the plugin" in said


def test_an_installed_one_can_be_tried_and_an_unknown_one_not(afx: Afx, repository: Path) -> None:
    del repository
    assert "afx_harness_claude" in afx("harness", "check", "claude").out
    done = afx("harness", "check", "nobody")
    assert (done.status, "no harness 'nobody'" in done.err) == (2, True)
