"""The tests can fail: each sabotage of afx is done to a copy of it, and caught there by the test it names.

A few are tried every time, and with ``--all-sabotages`` all of them, which takes some minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sabotage.table import SABOTAGES, Sabotage

ROOT = Path(__file__).parents[2]
_SPARED = shutil.ignore_patterns(".git", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "build")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the whole tree."""
    directory = tmp_path_factory.mktemp("copy") / "afx"
    directory.mkdir()
    for name in ("core", "plugins", "tests", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, directory / name, ignore=_SPARED)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, directory / name)
    return directory


@pytest.fixture
def broken(copy: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The copy with one sabotage done to it, which is undone afterwards."""
    sabotage: Sabotage = request.param
    path = copy / sabotage.file
    text = path.read_text(encoding="utf-8")
    assert text.count(sabotage.old) == 1, f"{sabotage.file} was changed; this sabotage has to follow"
    path.write_text(text.replace(sabotage.old, sabotage.new), encoding="utf-8")
    yield copy
    path.write_text(text, encoding="utf-8")


def run_tests(copy: Path, which: str) -> subprocess.CompletedProcess[str]:
    """Run tests of a copy on that copy, whatever is installed."""
    project = tomllib.loads((copy / "pyproject.toml").read_text(encoding="utf-8"))
    sources = [str(copy / place) for place in project["tool"]["hatch"]["build"]["dev-mode-dirs"]]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sources),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(copy / ".hypothesis"),
        "PYTEST_ADDOPTS": "",
    }
    options = ["-x", "-q", "-rf", "-p", "no:cacheprovider", "--timeout", "100"]
    options += ["--hypothesis-profile", "no smallest example"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, which],
        cwd=copy,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose which are tried."""
    if "sabotage" not in metafunc.fixturenames:
        return
    everything = metafunc.config.getoption("all_sabotages")
    chosen = [one for one in SABOTAGES if (one.quick or everything) and not (one.needs_root and os.geteuid())]
    names = [one.name.replace(" ", "-") for one in chosen]
    metafunc.parametrize(
        ("sabotage", "broken"), [(one, one) for one in chosen], indirect=["broken"], ids=names
    )


@pytest.mark.timeout(320)
def test_a_sabotage_is_caught(sabotage: Sabotage, broken: Path) -> None:
    done = run_tests(broken, sabotage.caught_by)
    said = f"{done.stdout[-3000:]}{done.stderr[-500:]}"
    assert f"FAILED {sabotage.caught_by}" in done.stdout, f"not caught:\n{said}"


def test_the_copy_itself_is_what_is_tested(copy: Path) -> None:
    """Without a sabotage the quick tests pass on the copy, and it is the copy that they import."""
    probe = copy / "tests/test_where.py"
    probe.write_text(
        "import afx, afx_storage_sqlite\n"
        "def test_where():\n"
        f"    assert afx.__file__.startswith({str(copy)!r})\n"
        f"    assert afx_storage_sqlite.__file__.startswith({str(copy)!r})\n"
    )
    try:
        where = run_tests(copy, "tests/test_where.py")
    finally:
        probe.unlink()
    assert where.returncode == 0, where.stdout
    done = run_tests(copy, "tests/tower/test_reconcile.py")
    assert done.returncode == 0, done.stdout
