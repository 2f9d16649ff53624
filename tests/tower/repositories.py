"""Git repositories that tests make, and what is in them."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git(cwd: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.rstrip("\n")


def commit(cwd: Path, name: str, content: str = "") -> None:
    (cwd / name).write_text(content, encoding="utf-8")
    git(cwd, "add", "--", name)
    git(cwd, "commit", "-qm", f"Add {name}")


def make_repository(path: Path) -> Path:
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    commit(path, "README", "hello\n")
    return path.resolve()


def everything(repository: Path) -> tuple[str, ...]:
    """Return all that a failed attempt could leave behind."""
    return (
        git(repository, "worktree", "list", "--porcelain"),
        git(repository, "for-each-ref"),
        git(repository, "status", "--porcelain", "--ignored"),
        str(sorted(str(path) for path in (repository / ".builders").glob("*"))),
    )
