"""What would be lost with a worktree, with the real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from afx.api.errors import ConflictError
from afx.tower import worktree
from afx.tower.losses import Losses, losses_of
from tower.repositories import commit, git


async def test_a_fresh_worktree_has_none(builder: Path) -> None:
    found = await losses_of(builder)
    assert not found.anything
    assert found == Losses()


async def test_each_kind_is_counted_and_named(builder: Path) -> None:
    commit(builder, "done")
    (builder / "README").write_text("changed", encoding="utf-8")
    git(builder, "mv", "done", "moved ü")
    (builder / "dir").mkdir()
    for number in range(4):
        (builder / "dir" / f"n{number}").touch()
    found = await losses_of(builder)
    assert set(found.modified) == {"README", "done", "moved ü"}
    assert found.untracked == ("dir/n0", "dir/n1", "dir/n2", "dir/n3")
    assert [line.partition(" ")[2] for line in found.commits] == ["Add done"]
    sentence = found.sentence()
    assert "3 changed files (" in sentence
    assert "4 files not in git (dir/n0, dir/n1, dir/n2, ...)" in sentence
    assert "1 commit that is nowhere else (" in sentence


async def test_ignored_files_are_none(repository: Path) -> None:
    commit(repository, ".gitignore", "build\n")
    made = await worktree.add(repository, repository / ".builders" / "fix", "fix")
    (made.path / "build").touch()
    assert not (await losses_of(made.path)).anything


@pytest.mark.parametrize("where", ["branch", "remote", "tag"])
async def test_commits_that_are_elsewhere_are_none(
    repository: Path, builder: Path, tmp_path: Path, where: str
) -> None:
    commit(builder, "done")
    assert len((await losses_of(builder)).commits) == 1
    if where == "branch":
        git(repository, "merge", "-q", "builder/fix")
    elif where == "tag":
        git(builder, "tag", "kept")
    else:
        git(tmp_path, "init", "-q", "--bare", "remote")
        git(builder, "push", "-q", str(tmp_path / "remote"), "builder/fix")
        assert len((await losses_of(builder)).commits) == 1
        git(builder, "remote", "add", "origin", str(tmp_path / "remote"))
        git(builder, "fetch", "-q", "origin")
    assert not (await losses_of(builder)).anything


async def test_commits_on_a_detached_head_count(builder: Path) -> None:
    git(builder, "checkout", "-q", "--detach")
    commit(builder, "loose")
    commit(builder, "looser")
    assert len((await losses_of(builder)).commits) == 2
    assert len((await losses_of(builder, "builder/fix")).commits) == 2


async def test_the_agents_branch_counts_where_another_is_checked_out(builder: Path) -> None:
    commit(builder, "done")
    git(builder, "checkout", "-q", "-b", "side", "main")
    assert not (await losses_of(builder)).anything
    assert len((await losses_of(builder, "builder/fix")).commits) == 1


async def test_a_stash_stays_and_is_no_loss(repository: Path, builder: Path) -> None:
    (builder / "README").write_text("changed", encoding="utf-8")
    git(builder, "stash", "-q")
    assert not (await losses_of(builder)).anything
    await worktree.remove(repository, builder, force=False, delete_branch=True)
    assert git(repository, "stash", "list")


async def test_a_file_name_that_is_no_utf8_is_shown(builder: Path) -> None:
    try:
        (builder / "\udcff").touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert (await losses_of(builder)).sentence().encode()


async def test_a_directory_that_is_no_worktree_any_more_is_not_asked(repository: Path, builder: Path) -> None:
    (builder / ".git").unlink()
    with pytest.raises(ConflictError, match="not a git worktree"):
        await losses_of(builder)
    with pytest.raises(ConflictError, match="not a git worktree"):
        await losses_of(repository)
