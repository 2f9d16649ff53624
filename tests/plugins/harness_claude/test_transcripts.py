"""Where Claude Code keeps a transcript: the tables were taken from the program's own behaviour."""

from __future__ import annotations

import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx_harness_claude.transcripts import (
    config_directory,
    elsewhere,
    project_directory,
    project_name,
    transcript,
)

ID = "2647dc37-f7cf-4647-9e62-e47afe148df3"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/w/repo", "-w-repo"),
        ("/w/proj.a_b", "-w-proj-a-b"),
        ("/w/two  words", "-w-two--words"),
        ("/w/Grün", "-w-Gr-n"),
        ("/w/Gru\u0308n", "-w-Gru-n"),
        ("/w/😀", "-w---"),
        ("/w/日本", "-w---"),
        ("/w/²³½", "-w----"),
        ("/w/a\nb", "-w-a-b"),
        ("/w/\udcff", "-w--"),
        ("/", "-"),
        ("x" * 200, "x" * 200),
    ],
)
def test_a_project_is_named_after_its_path_lesson_24(path: str, name: str) -> None:
    assert project_name(path) == name


@pytest.mark.parametrize(
    ("path", "end"),
    [
        # A known hash of Java; "\0" at the front adds nothing to it.
        ("\0" * 300 + "hello", "1n1e4y"),
        # A hash of -2**31, whose absolute value does not fit in 32 bits.
        ("\0" * 300 + "polygenelubricants", "zik0zk"),
        ("\0" * 300, "0"),
        ("\0" * 300 + "😀", "11zz7"),
    ],
)
def test_a_long_path_is_cut_and_told_apart_by_its_hash_lesson_24(path: str, end: str) -> None:
    assert project_name(path) == "-" * 200 + "-" + end


def test_a_long_path_with_an_emoji_counts_two_units_for_it() -> None:
    assert len(project_name("/" + "😀" * 100)) > 200
    assert project_name("/" + "😀" * 99) == "-" * 199


@given(st.text(max_size=400))
def test_a_project_name_is_one_safe_path_component(path: str) -> None:
    name = project_name(path)
    assert set(name) <= set(string.ascii_letters + string.digits + "-")
    assert len(name) <= 200 + 1 + 6
    units = len(path.encode("utf-16-le", "surrogatepass")) // 2
    assert len(name) == units or units > 200


@pytest.mark.parametrize(
    ("env", "directory"),
    [
        ({"HOME": "/h"}, "/h/.claude"),
        ({"HOME": "/h", "CLAUDE_CONFIG_DIR": "/c"}, "/c"),
        ({"HOME": "/h", "CLAUDE_CONFIG_DIR": "c"}, "/w/c"),
        ({"HOME": "/h", "CLAUDE_CONFIG_DIR": ""}, "/w"),
        ({"HOME": "/h", "CLAUDE_CONFIG_DIR": "/Gru\u0308n"}, "/Gr\u00fcn"),
    ],
)
def test_the_configuration_directory_is_the_programs(env: dict[str, str], directory: str) -> None:
    assert config_directory(env, Path("/w")) == Path(directory)


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"CLAUDE_CONFIG_DIR": "/c", "CLAUDE_CODE_PROJECT_DIR_NAME": "my_own-1"}, "my_own-1"),
        ({"CLAUDE_CODE_PROJECT_DIR_NAME": "my_own-1"}, None),
        ({"CLAUDE_CONFIG_DIR": "", "CLAUDE_CODE_PROJECT_DIR_NAME": "my_own-1"}, None),
        ({"CLAUDE_CONFIG_DIR": "/c", "CLAUDE_CODE_PROJECT_DIR_NAME": ".."}, None),
        ({"CLAUDE_CONFIG_DIR": "/c", "CLAUDE_CODE_PROJECT_DIR_NAME": "a/b"}, None),
        ({"CLAUDE_CONFIG_DIR": "/c", "CLAUDE_CODE_PROJECT_DIR_NAME": "x" * 65}, None),
        ({"CLAUDE_CONFIG_DIR": "/c", "CLAUDE_CODE_PROJECT_DIR_NAME": "a\n"}, None),
        ({"CLAUDE_CONFIG_DIR": "/c", "CLAUDE_CODE_PROJECT_DIR_NAME": "Com1"}, None),
    ],
)
def test_a_chosen_project_name_counts_where_the_program_takes_it(
    env: dict[str, str], name: str | None, tmp_path: Path
) -> None:
    expected = name or project_name(str(tmp_path.resolve()))
    assert project_directory(tmp_path, {"HOME": "/h", **env}).name == expected


def test_a_symlink_leads_to_the_transcript_of_the_real_path_lesson_24(tmp_path: Path) -> None:
    real = tmp_path / "Grün & blau"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    env = {"HOME": str(tmp_path)}
    assert transcript(ID, link, env) == transcript(ID, real, env)
    assert transcript(ID, link, env).name == f"{ID}.jsonl"


def test_the_same_id_under_another_directory_is_seen(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    env = {"HOME": str(tmp_path)}
    assert elsewhere(ID, here, env) == []
    for cwd in (here, there):
        path = transcript(ID, cwd, env)
        path.parent.mkdir(parents=True)
        path.touch()
    assert elsewhere(ID, here, env) == [transcript(ID, there, env)]


def test_nothing_is_left_to_be_read_from_the_disk_where_the_python_may_be_gone_by_then() -> None:
    code = """
import sys, afx_harness_claude.transcripts as transcripts
loaded = set(sys.modules)
transcripts.project_name("/home/ada/schön")
sys.exit(", ".join(set(sys.modules) - loaded) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
