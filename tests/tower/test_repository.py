"""What is found out of repositories, with the real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from afx.api.errors import BadInputError
from afx.tower import worktree
from afx.tower.repository import current_branch, repository_of
from tower.repositories import git, make_repository


async def test_a_directory_deep_inside_leads_to_its_top(repository: Path) -> None:
    deep = repository / "a" / "b"
    deep.mkdir(parents=True)
    assert await repository_of(deep) == repository


async def test_a_worktree_leads_to_the_main_one(repository: Path, builder: Path) -> None:
    assert await repository_of(builder) == repository


async def test_a_symlink_leads_to_the_real_path_lesson_24(repository: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(repository)
    assert await repository_of(link) == repository


async def test_a_submodule_is_a_repository_of_its_own(repository: Path, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    assert await repository_of(repository / "sub") == repository / "sub"
    made = await worktree.add(repository / "sub", repository / "sub" / ".builders" / "x", "x")
    assert await repository_of(made.path) == repository / "sub"


@pytest.mark.parametrize("kind", ["outside", "bare", "absent", "file", "inside .git"])
async def test_what_is_no_working_tree_is_refused_with_a_hint(
    repository: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "path"
    if kind == "bare":
        git(tmp_path, "clone", "-q", "--bare", str(repository), "path")
    elif kind == "outside":
        path.mkdir()
    elif kind == "file":
        path.touch()
    elif kind == "inside .git":
        path = repository / ".git"
    with pytest.raises(BadInputError) as caught:
        await repository_of(path)
    assert caught.value.hint


async def test_a_worktree_of_a_bare_repository_has_no_main_one(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), ".git")
    git(tmp_path / ".git", "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    with pytest.raises(BadInputError):
        await repository_of(tmp_path / "linked")


async def test_a_missing_git_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(BadInputError, match="git is not installed"):
        await repository_of(repository)


async def test_an_outer_gits_variables_do_not_lead_astray(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    assert await repository_of(repository) == repository


async def test_the_current_branch_is_told(repository: Path, tmp_path: Path) -> None:
    assert await current_branch(repository) == "main"
    git(repository, "checkout", "-q", "--detach")
    assert await current_branch(repository) is None
    with pytest.raises(BadInputError):
        await current_branch(tmp_path)
