"""What every test relies on does what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from distribution import write_plugin
from strangers import write_shadows

TESTS = """
import pytest

def test_that_needs_a_program():
    pytest.skip("foo is not installed")

@pytest.mark.skipif(True, reason="only root can do it")
def test_that_needs_root():
    pass
"""


@pytest.mark.parametrize(("ci", "said"), [("true", "1 failed, 1 skipped"), ("", "2 skipped")])
def test_a_skip_under_ci_is_a_failure(tmp_path: Path, ci: str, said: str) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "conftest",
            "-p",
            "no:cacheprovider",
            "-c",
            "/dev/null",
            ".",
        ],
        cwd=tmp_path,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said in done.stdout, done.stdout + done.stderr


def test_plugins_that_somebody_installed_are_hidden_from_every_process(tmp_path: Path) -> None:
    write_plugin(tmp_path / "site", "stranger", "import nowhere", point="foo")
    write_shadows(tmp_path / "shadows", ["afx-stranger"])

    def listed(*path: Path) -> list[str]:
        there = os.environ.get("PYTHONPATH", "")
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), there])}
        command = [sys.executable, "-m", "afx.listing"]
        done = subprocess.run(command, env=env, capture_output=True, check=True)
        return [row["distribution"] for row in json.loads(done.stdout)["rows"]]

    assert "afx-stranger" in listed(tmp_path / "site")
    assert set(listed(tmp_path / "shadows", tmp_path / "site")) == {"afx"}
