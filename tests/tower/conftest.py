"""A repository with one commit, a builder's worktree of it, and a Tower's live side in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from afx.tower import worktree
from tower.lab import Lab
from tower.repositories import make_repository


@pytest.fixture
def git_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose commits are whoever's."""
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name, value in {"NAME": "Test", "EMAIL": "test@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)


@pytest.fixture
def repository(tmp_path: Path, git_identity: None) -> Path:
    del git_identity
    return make_repository(tmp_path / "repository")


@pytest.fixture
async def builder(repository: Path) -> Path:
    return (await worktree.add(repository, repository / ".builders" / "fix", "builder/fix")).path


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)
