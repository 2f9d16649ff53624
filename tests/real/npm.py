"""Agent programs from npm: installed once, one version each, and kept in a cache between runs."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

driven: set[str] = set()
"""The programs that were had, each with its version."""


def installed(name: str, package: str, version: str, home: Path) -> Path:
    """Return the path of a program; skip the test, or where CI promises npm fail it, where it cannot be had.

    Args:
        name: The program's name, of which the directory in the cache is made.
        package: What npm installs, with its version.
        version: What the program must say that it is.
        home: An empty directory that npm and the program take for the home.
    """
    cache = Path(
        os.environ.get("AFX_TEST_CACHE") or Path(tempfile.gettempdir(), f"afx-test-cache-{os.getuid()}")
    )
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    if cache.stat().st_uid != os.getuid():
        pytest.fail(f"The cache {cache} belongs to somebody else; set AFX_TEST_CACHE.")
    prefix = cache / f"{name}-{version}"
    program = prefix / "node_modules" / ".bin" / name
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _install(package, prefix, home)
    if f"{name} {version}" not in driven:
        said = _run(str(program), "--version", home=home)
        assert version in said.split(), f"{program} is {said}"
        driven.add(f"{name} {version}")
    return program


def _install(package: str, prefix: Path, home: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        _unavailable(f"npm is not installed, so there is no {package}")
    # What npm did not finish is not taken for an installed program by a later run.
    unfinished = Path(tempfile.mkdtemp(dir=prefix.parent))
    # From npm 12 on a package runs a script of its own at its installation only where it is named here.
    allowed = {"allowScripts": {package.rpartition("@")[0]: True}}
    (unfinished / "package.json").write_text(json.dumps(allowed), encoding="utf-8")
    flags = ("--no-audit", "--no-fund", "--loglevel=error")
    try:
        _run(npm, "install", *flags, "--prefix", str(unfinished), package, home=home)
        unfinished.replace(prefix)
    except (OSError, subprocess.TimeoutExpired) as error:
        _unavailable(f"{package} could not be installed: {error}")
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true" and shutil.which("npm"):
        pytest.fail(reason)
    pytest.skip(reason)


def _run(*argv: str, home: Path) -> str:
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "HOME": str(home)},
        cwd=home,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise OSError(f"{' '.join(argv[:2])} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout.strip()
