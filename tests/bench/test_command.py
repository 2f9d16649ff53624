"""The benchmarks' one command, in little: it runs, it cleans up, and every figure stands beside another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.kept import ratio, read

ROOT = Path(__file__).parents[2]
IN_LITTLE = ("--runs", "1", "--terminals", "5", "--seconds", "0.3", "--json")
FIGURES = {"planning", "spawn", "storage", "echo"}


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc, which only Linux has")
def test_figures_are_kept_and_each_stands_beside_another(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *sorted(FIGURES), *IN_LITTLE, "--keep", str(kept)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    found = read(kept)
    assert {one.figure for one in found if ratio(one) is not None} >= FIGURES
    assert len(done.stdout.splitlines()) == len(found)


def test_a_benchmark_that_is_not_there_is_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nonsense"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "There is no benchmark 'nonsense'" in done.stderr
