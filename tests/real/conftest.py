"""What tests with a real agent program stand on: the program from npm, a model on loopback, a fresh home.

Nothing but npm's registry is spoken to, and that only while the program is not in the cache yet.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from . import model_server as model

# Older ones are tried by hand: the harness says which it was checked with.
VERSION = os.environ.get("AFX_TEST_CLAUDE", "2.1.329")
PACKAGE = f"@anthropic-ai/claude-code@{VERSION}"


def _unavailable(reason: str) -> NoReturn:
    """Skip; where CI promises that npm works, fail."""
    if os.environ.get("CI") == "true" and shutil.which("npm"):
        pytest.fail(reason)
    pytest.skip(reason)


def _run(*argv: str, home: Path) -> str:
    """Run a program with a home of its own; return what it printed, or raise what went wrong."""
    env = {**os.environ, "HOME": str(home)}
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=env,
        cwd=home,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise OSError(f"{' '.join(argv[:2])} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout.strip()


@pytest.fixture(scope="session")
def claude_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of the real `claude`, installed from npm once and kept in a cache between runs."""
    home = tmp_path_factory.mktemp("npm-home")
    cache = Path(
        os.environ.get("AFX_TEST_CACHE") or Path(tempfile.gettempdir(), f"afx-test-cache-{os.getuid()}")
    )
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    if cache.stat().st_uid != os.getuid():
        pytest.fail(f"The cache {cache} belongs to somebody else; set AFX_TEST_CACHE.")
    prefix = cache / f"claude-{VERSION}"
    program = prefix / "node_modules" / ".bin" / "claude"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            npm = shutil.which("npm")
            if npm is None:
                _unavailable("npm is not installed, so there is no real claude")
            # What npm did not finish is not taken for an installed program by a later run.
            unfinished = Path(tempfile.mkdtemp(dir=cache))
            try:
                flags = ("--no-audit", "--no-fund", "--loglevel=error")
                _run(npm, "install", *flags, "--prefix", str(unfinished), PACKAGE, home=home)
                unfinished.replace(prefix)
            except (OSError, subprocess.TimeoutExpired) as error:
                _unavailable(f"{PACKAGE} could not be installed: {error}")
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    version = _run(str(program), "--version", home=home)
    assert version.startswith(VERSION), f"{program} is {version}"
    return program


@pytest.fixture
def model_server() -> Iterator[model.ModelServer]:
    """A model that answers by rules, on a free port of the loopback interface."""
    with model.serve() as server:
        yield server


@pytest.fixture
def claude_home(
    claude_program: Path, model_server: model.ModelServer, tmp_path: Path
) -> Callable[[Path], dict[str, str]]:
    """Give an environment in which `claude` asks no question in a workspace and talks to the model server."""

    def prepare(workspace: Path) -> dict[str, str]:
        home = tmp_path / "claude-home"
        home.mkdir(exist_ok=True)
        trusted = {str(workspace.resolve()): {"hasTrustDialogAccepted": True}}
        settings = {"hasCompletedOnboarding": True, "projects": trusted}
        (home / ".claude.json").write_text(json.dumps(settings), encoding="utf-8")
        return {
            "HOME": str(home),
            "PATH": f"{claude_program.parent}{os.pathsep}{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "SHELL": "/bin/sh",
            "TMPDIR": str(tmp_path),
            "ANTHROPIC_BASE_URL": model_server.url,
            "ANTHROPIC_AUTH_TOKEN": "not-a-secret",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "IS_SANDBOX": "1",
            "no_proxy": "127.0.0.1",
        }

    return prepare
