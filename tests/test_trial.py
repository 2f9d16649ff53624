"""A plugin that ends the process that loads it is known by its mark, and by what it does again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distribution import harness, write_plugin

LIST = """
import sys
from pathlib import Path
from afx.loader import Plugins
for row in Plugins.load(marks=Path(sys.argv[1])).rows():
    print(row.name, row.state, row.error)
"""


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    return tmp_path / "loading"


def listed(tmp_path: Path, marks: Path) -> subprocess.CompletedProcess[str]:
    env = {"PYTHONPATH": str(tmp_path / "site"), "PATH": ""}
    command = [sys.executable, "-c", LIST, str(marks)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_what_ends_the_process_is_not_loaded_the_next_time(tmp_path: Path, marks: Path) -> None:
    site = tmp_path / "site"
    write_plugin(site, "end", "import os; os._exit(7)")
    write_plugin(site, "good", harness("good"))
    assert listed(tmp_path, marks).returncode == 7
    for _ in range(2):
        done = listed(tmp_path, marks)
        assert done.returncode == 0, done.stderr
        assert "end broken It ends the process that loads it." in done.stdout
        assert "good active" in done.stdout
    # It is loaded again as soon as it has been mended.
    (site / "end_plugin.py").write_text("")
    assert "end active" in listed(tmp_path, marks).stdout
    assert list(marks.iterdir()) == []


def test_who_was_only_killed_while_loading_is_not_blamed(tmp_path: Path, marks: Path) -> None:
    write_plugin(tmp_path / "site", "good", harness("good"))
    marks.mkdir()
    (marks / "good%20good_plugin").touch()
    assert "good active" in listed(tmp_path, marks).stdout
    assert list(marks.iterdir()) == []


def test_marks_that_cannot_be_looked_for_are_no_plugins_fault(tmp_path: Path) -> None:
    # The name is too long for the system, which says so to root as well.
    done = listed(tmp_path, tmp_path / ("x" * 300))
    assert "sqlite active" in done.stdout
    assert "broken" not in done.stdout
