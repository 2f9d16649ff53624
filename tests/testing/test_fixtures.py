"""The fixtures for authors: a Tower that is killed in a test of theirs, and nothing imported before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TEST = """
def test_a_shell_outlives_the_tower(tower, tower_workspace):
    agent = tower.shell(tower_workspace, "exec cat", "s")
    tower.kill()
    tower.start()
    assert tower.agents()["shell/s"]["terminal"]["id"] == agent["terminal"]["id"]
"""


def test_an_authors_test_gets_a_tower(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["afx.testing.fixtures"]\n')
    (tmp_path / "test_it.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_nothing_heavy_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, afx.testing.fixtures; print([name for name in sys.modules if name.startswith('afx')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "tower_process" not in said
