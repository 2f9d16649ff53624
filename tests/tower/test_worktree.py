"""Worktrees of builders are made and removed, with the real git."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import anyio
import pytest

from afx.api.errors import AfxError, BadInputError, ConflictError
from afx.tower import worktree
from afx.tower.losses import losses_of
from afx.tower.repository import current_branch
from afx.tower.worktree import Worktree
from scripts import write_script
from tower.repositories import commit, everything, git, make_repository

pytestmark = pytest.mark.usefixtures("git_identity")


def there(path: Path) -> bool:
    return path.exists()


class TestAdd:
    async def test_a_new_branch_begins_at_head(self, repository: Path) -> None:
        place = repository / ".builders" / "fix"
        made = await worktree.add(repository, place, "builder/fix")
        assert made == Worktree(path=place, branch="builder/fix", created_branch=True)
        assert await current_branch(place) == "builder/fix"
        assert git(place, "rev-parse", "HEAD") == git(repository, "rev-parse", "main")

    async def test_an_existing_branch_is_used_as_it_is(self, repository: Path) -> None:
        git(repository, "branch", "old")
        commit(repository, "later")
        made = await worktree.add(repository, repository / ".builders" / "fix", "old")
        assert not made.created_branch
        assert not (made.path / "later").exists()

    async def test_the_repository_stays_clean_and_gitignore_untouched(self, repository: Path) -> None:
        exclude = repository / ".git" / "info" / "exclude"
        exclude.write_bytes(b"mine \xff without newline")
        for name in ("one", "two"):
            await worktree.add(repository, repository / ".builders" / name, name)
        assert git(repository, "status", "--porcelain") == ""
        assert not (repository / ".gitignore").exists()
        assert exclude.read_bytes() == b"mine \xff without newline\n/.builders/\n"

    @pytest.mark.parametrize("directory", ["two words", "[x]*?", "a/b", "../beside"])
    async def test_builders_may_live_in_another_directory(self, repository: Path, directory: str) -> None:
        made = await worktree.add(repository, repository / directory / "fix", "fix")
        assert git(repository, "status", "--porcelain") == ""
        assert await worktree.remove(
            repository, repository / directory / "fix", force=False, delete_branch=True
        )
        assert not there(made.path)

    async def test_a_directory_with_the_repositorys_files_is_not_for_builders(self, repository: Path) -> None:
        (repository / "src").mkdir()
        commit(repository, "src/code")
        before = everything(repository)
        for place in (repository / "src" / "fix", repository / "fix"):
            with pytest.raises(BadInputError, match="files of the repository"):
                await worktree.add(repository, place, "fix")
        assert everything(repository) == before

    async def test_a_detached_head_is_a_place_to_begin(self, repository: Path) -> None:
        git(repository, "checkout", "-q", "--detach")
        assert (await worktree.add(repository, repository / ".builders" / "fix", "fix")).created_branch

    async def test_an_unborn_head_is_not(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "-q", "unborn")
        with pytest.raises(ConflictError, match="no commit yet"):
            await worktree.add(tmp_path / "unborn", tmp_path / "unborn" / ".builders" / "fix", "fix")
        assert not (tmp_path / "unborn" / ".builders").exists()

    @pytest.mark.parametrize("name", ["with space", "Grün-ß", "日本 😀", "a'b\"c$(d)"])
    async def test_odd_paths_work_lesson_24(self, tmp_path: Path, name: str) -> None:
        repository = make_repository(tmp_path / name)
        made = await worktree.add(repository, repository / ".builders" / "fix", "fix")
        (made.path / name.replace("/", "")).touch()
        assert (await losses_of(made.path)).untracked == (name,)
        assert await worktree.remove(repository, made.path, force=True, delete_branch=True)
        assert git(repository, "worktree", "list", "--porcelain").count("worktree ") == 1

    async def test_a_symlinked_repository_gives_real_paths_lesson_24(
        self, repository: Path, tmp_path: Path
    ) -> None:
        link = tmp_path / "link"
        link.symlink_to(repository)
        made = await worktree.add(link, link / ".builders" / "fix", "fix")
        assert made.path == repository / ".builders" / "fix"
        assert await worktree.remove(link, link / ".builders" / "fix", force=False, delete_branch=True)

    @pytest.mark.parametrize("kind", ["directory", "file", "branch here", "branch there", "above", "below"])
    async def test_what_is_taken_is_refused_and_nothing_changes(self, repository: Path, kind: str) -> None:
        place, branch = repository / ".builders" / "new", "builder/new"
        await worktree.add(repository, repository / ".builders" / "fix", "builder/fix")
        match kind:
            case "directory":
                place.mkdir()
            case "file":
                place.touch()
            case "branch here":
                branch = "main"
            case "branch there":
                branch = "builder/fix"
            case "above":
                branch = "builder/fix/more"
            case "below":
                branch = "builder"
        before = everything(repository)
        with pytest.raises(ConflictError) as caught:
            await worktree.add(repository, place, branch)
        assert caught.value.hint
        assert everything(repository) == before

    async def test_a_tag_of_the_same_name_is_no_obstacle(self, repository: Path) -> None:
        git(repository, "tag", "fix")
        commit(repository, "later")
        made = await worktree.add(repository, repository / ".builders" / "fix", "fix")
        assert (made.path / "later").exists()

    @pytest.mark.parametrize("path", [".", "..", ".git/x", ".builders/link/x", ".builders/link"])
    async def test_odd_places_are_refused_lesson_47(
        self, repository: Path, tmp_path: Path, path: str
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        (repository / ".builders").mkdir()
        (repository / ".builders" / "link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(BadInputError):
            await worktree.add(repository, repository / path, "fix")
        assert list((tmp_path / "elsewhere").iterdir()) == []

    async def test_a_failure_midway_leaves_nothing(self, repository: Path) -> None:
        write_script(repository / ".git/hooks/post-checkout", "echo no luck >&2\nexit 3")
        git(repository, "branch", "kept")
        before = everything(repository)
        for branch in ("fix", "kept"):
            with pytest.raises(ConflictError, match="no luck"):
                await worktree.add(repository, repository / ".builders" / "fix", branch)
            assert everything(repository) == before

    async def test_a_cancelled_attempt_leaves_nothing(self, repository: Path, tmp_path: Path) -> None:
        started = tmp_path / "started"
        write_script(repository / ".git/hooks/post-checkout", f": > '{started}'\nexec sleep 60")
        before = everything(repository)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worktree.add, repository, repository / ".builders" / "fix", "fix")
            with anyio.fail_after(10):
                while not started.exists():  # noqa: ASYNC110 - another process makes it
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert everything(repository) == before

    async def test_builders_made_at_once_do_not_disturb_each_other(self, repository: Path) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                place = repository / ".builders" / f"b{number}"
                tasks.start_soon(worktree.add, repository, place, f"builder/b{number}")
        assert git(repository, "worktree", "list").count("builder/b") == 6
        assert (repository / ".git" / "info" / "exclude").read_text().count(".builders") == 1

    async def test_git_is_asked_again_where_it_met_a_worktree_in_the_making(
        self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        met = tmp_path / "met"
        hasty = write_script(
            tmp_path / "bin/git",
            f'[ "$3" = worktree ] && [ ! -e {met} ] && touch {met} &&'
            " echo 'fatal: failed to read .git/worktrees/b1/commondir: Success' >&2 && exit 128\n"
            f'exec {shutil.which("git")} "$@"',
        )
        monkeypatch.setenv("PATH", str(hasty.parent), prepend=os.pathsep)
        made = await worktree.add(repository, repository / ".builders" / "fix", "builder/fix")
        assert met.exists()
        assert await current_branch(made.path) == "builder/fix"

    async def test_of_two_that_want_one_place_one_gets_it(self, repository: Path) -> None:
        place = repository / ".builders" / "fix"
        ends: list[object] = []

        async def try_it(branch: str) -> None:
            try:
                ends.append(await worktree.add(repository, place, branch))
            except AfxError as error:
                ends.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(try_it, "one")
            tasks.start_soon(try_it, "two")
        (made,) = [end for end in ends if isinstance(end, Worktree)]
        (refused,) = [end for end in ends if isinstance(end, AfxError)]
        assert isinstance(refused, ConflictError)
        assert await current_branch(place) == made.branch
        assert git(repository, "branch", "--list", "one", "two", "--format=%(refname:short)") == made.branch

    async def test_a_worktree_deleted_by_hand_can_be_made_again(
        self, repository: Path, builder: Path
    ) -> None:
        shutil.rmtree(builder)
        again = await worktree.add(repository, builder, "builder/fix")
        assert not again.created_branch
        assert await current_branch(builder) == "builder/fix"


class TestRemove:
    async def test_worktree_and_branch_go(self, repository: Path, builder: Path) -> None:
        assert await worktree.remove(repository, builder, force=False, delete_branch=True)
        assert not there(builder)
        assert git(repository, "branch", "--format=%(refname:short)") == "main"

    async def test_the_branch_may_stay(self, repository: Path, builder: Path) -> None:
        assert not await worktree.remove(repository, builder, force=False, delete_branch=False)
        assert not there(builder)
        assert git(repository, "branch", "--list", "builder/fix")

    @pytest.mark.parametrize("kind", ["modified", "untracked", "commits"])
    async def test_work_is_kept_unless_forced(self, repository: Path, builder: Path, kind: str) -> None:
        if kind == "modified":
            (builder / "README").write_text("changed", encoding="utf-8")
        elif kind == "untracked":
            (builder / "new").touch()
        else:
            commit(builder, "done")
        before = everything(repository)
        with pytest.raises(ConflictError) as caught:
            await worktree.remove(repository, builder, force=False, delete_branch=True)
        assert caught.value.code == "would-lose-work"
        assert everything(repository) == before
        assert await worktree.remove(repository, builder, force=True, delete_branch=True)
        assert not there(builder)

    async def test_one_deleted_by_hand_is_forgotten(self, repository: Path, builder: Path) -> None:
        commit(builder, "done")
        shutil.rmtree(builder)
        with pytest.raises(ConflictError, match="1 commit"):
            await worktree.remove(repository, builder, force=False, delete_branch=True)
        git(repository, "merge", "-q", "builder/fix")
        assert await worktree.remove(repository, builder, force=False, delete_branch=True)
        assert "fix" not in git(repository, "worktree", "list")
        assert not await worktree.remove(
            repository, builder, force=False, delete_branch=True, branch="builder/fix"
        )

    async def test_only_the_agents_branch_is_deleted(self, repository: Path, builder: Path) -> None:
        git(builder, "checkout", "-q", "-b", "side")
        assert await worktree.remove(
            repository, builder, force=True, delete_branch=True, branch="builder/fix"
        )
        assert git(repository, "branch", "--format=%(refname:short)").split() == ["main", "side"]

    async def test_a_branch_in_use_elsewhere_stays(self, repository: Path, builder: Path) -> None:
        git(builder, "checkout", "-q", "--detach")
        git(repository, "checkout", "-q", "builder/fix")
        assert not await worktree.remove(
            repository, builder, force=True, delete_branch=True, branch="builder/fix"
        )
        assert git(repository, "branch", "--show-current") == "builder/fix"

    async def test_a_locked_worktree_stays(self, repository: Path, builder: Path) -> None:
        git(repository, "worktree", "lock", str(builder))
        with pytest.raises(ConflictError, match="lock"):
            await worktree.remove(repository, builder, force=True, delete_branch=True)
        assert there(builder)

    async def test_submodules_need_no_force(self, repository: Path, tmp_path: Path) -> None:
        inner = make_repository(tmp_path / "inner")
        allow = ("-c", "protocol.file.allow=always")
        git(repository, *allow, "submodule", "--quiet", "add", str(inner), "sub")
        git(repository, "commit", "-qm", "Add sub")
        made = await worktree.add(repository, repository / ".builders" / "fix", "fix")
        git(made.path, *allow, "submodule", "--quiet", "update", "--init")
        assert await worktree.remove(repository, made.path, force=False, delete_branch=True)

    @pytest.mark.parametrize("target", ["main", "above", "plain", "symlink", "foreign", ".git"])
    async def test_nothing_else_is_removed_even_by_force(
        self, repository: Path, builder: Path, tmp_path: Path, target: str
    ) -> None:
        path = repository / ".builders" / "victim"
        if target == "main":
            path = repository
        elif target == "above":
            path = tmp_path
        elif target == "plain":
            path.mkdir()
            (path / "precious").touch()
        elif target == "symlink":
            path.symlink_to(builder)
        elif target == "foreign":
            other = make_repository(tmp_path / "other")
            git(other, "worktree", "add", "-q", "-b", "x", str(path))
        else:
            path = repository / ".git" / "hooks"
            path.mkdir(exist_ok=True)
        with pytest.raises((BadInputError, ConflictError)):
            await worktree.remove(repository, path, force=True, delete_branch=True)
        assert there(path)
        assert there(builder)
        assert git(repository, "branch", "--list", "builder/fix")
