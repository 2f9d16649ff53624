from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from afx.api.errors import AfxError, BadInputError, NotFoundError
from afx.cli.repository import workspace_here_or_none, workspace_of
from e2e.conftest import make_repository


def git(directory: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(directory), *arguments], check=True, capture_output=True)


def test_a_directory_belongs_to_its_repository(repository: Path) -> None:
    (repository / "a b/ü").mkdir(parents=True)
    assert workspace_of(repository / "a b/ü") == repository


def test_a_worktree_belongs_to_the_main_repository(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", ".builders/fix")
    git(repository, "worktree", "add", str(tmp_path / "away"))
    (repository / ".builders/fix/src").mkdir()
    assert workspace_of(repository / ".builders/fix/src") == repository
    assert workspace_of(tmp_path / "away") == repository


def test_a_worktree_of_a_bare_repository_is_its_own_workspace(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--bare", str(repository), "bare.git")
    git(tmp_path / "bare.git", "worktree", "add", str(tmp_path / "tree"))
    assert workspace_of(tmp_path / "tree") == tmp_path / "tree"


def test_a_submodule_is_its_own_workspace(repository: Path, tmp_path: Path) -> None:
    make_repository(tmp_path / "inner")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", str(tmp_path / "inner"), "sub")
    assert workspace_of(repository / "sub") == repository / "sub"


def test_symlinks_are_followed_lesson_24(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repository)
    assert workspace_of(tmp_path / "link") == repository


def test_a_hooks_environment_does_not_lead_astray(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    assert workspace_of(repository) == repository


def test_outside_a_repository_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match="not inside a git repository"):
        workspace_of(tmp_path)
    with pytest.raises(NotFoundError, match="no directory"):
        workspace_of(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    assert workspace_here_or_none() is None


def test_git_that_is_missing_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AfxError, match="git is not installed"):
        workspace_of(repository)


def test_a_git_that_the_system_does_not_run_is_a_sentence(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "run", refused)
    with pytest.raises(AfxError, match="git cannot be run: Resource temporarily unavailable"):
        workspace_of(repository)
