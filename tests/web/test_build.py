"""The page's way into the package: built with node, without it, not at all, and never twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.sync_api import expect

from afx.testing.tower_process import TowerProcess
from browser.chromium import chromium
from browser.tab import Tab
from e2e.conftest import short_path

ROOT = Path(__file__).parents[2]
ASSETS = "afx/server/assets/"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources as a stranger gets them: nothing built, nothing installed."""
    tree = tmp_path / "tree"
    for name in ("core", "plugins", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        source = ROOT / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns("node_modules", "build", "assets", "__pycache__")
            shutil.copytree(source, tree / name, ignore=unwanted)
        else:
            tree.mkdir(exist_ok=True)
            shutil.copy(source, tree / name)
    return tree


def pip(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run pip, and return what it said."""
    command = [sys.executable, "-m", "pip", *arguments, "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def path_without_node(directory: Path) -> str:
    """Return a PATH with what a build needs of the machine, and no node."""
    directory.mkdir()
    for name in ("sh", "bash", "env", "cat", "uname", "git", "tar", "dirname", "sed"):
        if (found := shutil.which(name)) is not None:
            (directory / name).symlink_to(found)
    return str(directory)


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {
            name.removeprefix(ASSETS) for name in archive.namelist() if name.startswith((ASSETS, "afx/web"))
        }


def unpack(wheel: Path, place: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)  # noqa: S202 - a wheel of our own making


@pytest.mark.timeout(300)
def test_a_wheel_built_without_node_has_the_page_and_an_sdist_needs_no_npm(
    tree: Path, tmp_path: Path
) -> None:
    env = {"PATH": path_without_node(tmp_path / "bin")}
    assert shutil.which("node", path=env["PATH"]) is None
    pip("wheel", "-q", ".", "-w", str(tmp_path / "made"), cwd=tree, env=env)

    (wheel,) = (tmp_path / "made").glob("*.whl")
    built = names_in(wheel)
    assert {"index.html", "LICENSES.txt", "sources.sha256"} < built
    assert sorted(Path(name).suffix for name in built if "-" in name) == [".css", ".js", ".svg"]
    unpack(wheel, tmp_path / "site")
    serves(tmp_path / "site")

    # What was built goes into the sdist; from there neither node nor npm is asked for.
    script = "import hatchling.build as b, sys; print(b.build_sdist(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "made")], cwd=tree, env={**os.environ, **env},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    sdist = tmp_path / "made" / made.stdout.split()[-1]
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert not list(unpacked.rglob("node_modules"))
    shutil.rmtree(tmp_path / "made")
    no_npm = {**env, "npm_config_registry": "http://127.0.0.1:9/"}
    pip("wheel", "-q", ".", "-w", str(tmp_path / "made"), cwd=unpacked, env=no_npm)
    (again,) = (tmp_path / "made").glob("*.whl")
    assert names_in(again) == built


def serves(site: Path) -> None:
    """See in a browser that a Tower from a directory of packages has a page that works."""
    directory = short_path()
    tower = TowerProcess(directory / "s", {"PYTHONPATH": str(site)})
    try:
        tower.start()
        assert tower.request("GET", "/").decode() == (site / ASSETS / "index.html").read_text()
        with chromium() as browser:
            tab = Tab(browser.new_context(), tower)
            expect(tab.page.get_by_text("Nobody works here yet")).to_be_visible()
            tab.conduct.check()
    finally:
        tower.end_everything()
        shutil.rmtree(directory, ignore_errors=True)


def test_a_build_that_is_told_to_skip_the_page_serves_a_word_about_it(tree: Path, tmp_path: Path) -> None:
    # What was built before is no part of it either.
    before = tree / "core/afx/server/assets"
    before.mkdir()
    for name in ("index.html", "app-OLD.js"):
        (before / name).write_text("of other sources")
    pip("wheel", "-q", ".", "-w", str(tmp_path / "made"), cwd=tree, env={"AFX_WEB_BUILD": "skip"})
    (wheel,) = (tmp_path / "made").glob("*.whl")
    assert names_in(wheel) == set()
    unpack(wheel, tmp_path / "site")
    script = "from afx.server.page import Page; assert 'AFX_WEB_BUILD=skip' in Page()._index"
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    subprocess.run([sys.executable, "-P", "-c", script], env=env, cwd=tmp_path, check=True)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_build_that_cannot_have_its_packages_says_what_to_do(tree: Path, tmp_path: Path) -> None:
    env = {
        "npm_config_registry": "http://127.0.0.1:9/",
        "npm_config_cache": str(tmp_path / "cache"),
        "npm_config_fetch_retries": "0",
    }
    command = [sys.executable, "-m", "pip", "wheel", ".", "-w", str(tmp_path / "made"), "--no-deps"]
    done = subprocess.run(
        command, cwd=tree, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "To build without the page: AFX_WEB_BUILD=skip" in done.stdout + done.stderr
    assert not list((tmp_path / "made").glob("*.whl"))
    assert not (tree / "core/afx/server/assets").exists()
