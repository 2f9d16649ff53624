"""The page's sources with all their tools, installed once and kept in a cache between runs.

They are copied first: what npm installs for the build and what a developer installed are left alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

WEB = Path(__file__).parents[2] / "core" / "web"


@cache
def installed_web() -> Path:
    """Return a copy of ``core/web`` whose node_modules are those of the lockfile.

    Skips the test, or where CI promises npm fails it, where that cannot be had.
    """
    npm = shutil.which("npm")
    if npm is None:
        _unavailable("npm is not installed, so the page's own tools cannot be had")
    store = Path(
        os.environ.get("AFX_TEST_CACHE") or Path(tempfile.gettempdir(), f"afx-test-cache-{os.getuid()}")
    )
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    if store.stat().st_uid != os.getuid():
        pytest.fail(f"The cache {store} belongs to somebody else; set AFX_TEST_CACHE.")
    lockfile = (WEB / "package-lock.json").read_bytes()
    place = store / f"web-{hashlib.sha256(lockfile + str(WEB).encode()).hexdigest()[:16]}"
    with (store / "web.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "installed").exists():
            shutil.rmtree(place, ignore_errors=True)
            _copy(place)
            command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            if done.returncode:
                _unavailable(f"npm ci ended with {done.returncode}: {done.stderr[-500:]}")
            (place / "installed").touch()
        _copy(place)
    return place


def _copy(place: Path) -> None:
    """Copy the sources over what is there, without what was removed from them."""
    for name in ("src", "tests"):
        shutil.rmtree(place / name, ignore_errors=True)
    shutil.copytree(WEB, place, ignore=shutil.ignore_patterns("node_modules", "build"), dirs_exist_ok=True)


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
