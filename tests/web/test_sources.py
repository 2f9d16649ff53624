"""The page's sources: strictly typed, and right where no browser is needed to tell."""

from __future__ import annotations

import subprocess

from .sources import installed_web


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=installed_web(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_the_types_hold() -> None:
    run("npm", "run", "--silent", "check")


def test_the_units_do_what_they_promise() -> None:
    run("npm", "test", "--silent")


def test_the_lockfile_names_no_registry() -> None:
    lockfile = (installed_web() / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lockfile
