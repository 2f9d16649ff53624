"""Worktrees of builders, with the real git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx.api.errors import AfxError, BadInputError, ConflictError
from afx.tower import worktree

HOSTILE = [
    "x.lock",
    "x" * 300,
    "",
    "../x",
    "..",
    ".",
    "-t",
    ".hidden",
    "a/b",
    "a:b.c",
    "a\nb",
    "a b",
    "x" * 300,
    "é",
    "a..b",
    "a.lock",
]

HOSTILE_BRANCHES = [
    *["", "-t", "/a", "a/", "a//b", "a/.b", "a.lock/b", "a.", "a..b", "../x", "@", "HEAD", "@{-1}", "a@{b"],
    *["a b", "a:b", "a\nb", "a~1", "a^", "a?", "a*", "a[", "a\\b", "a\x7f", "\0", "x" * 300],
]


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


def there(path: Path) -> bool:
    return path.exists()


def everything(repository: Path) -> tuple[str, ...]:
    """Return all that a failed attempt could leave behind."""
    return (
        git(repository, "worktree", "list", "--porcelain"),
        git(repository, "for-each-ref"),
        git(repository, "status", "--porcelain", "--ignored"),
        str(sorted(str(path) for path in (repository / ".builders").glob("*"))),
    )


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name, value in {"NAME": "Test", "EMAIL": "test@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository")


@pytest.fixture
async def builder(repository: Path) -> Path:
    return (await worktree.add(repository, repository / ".builders" / "fix", "builder/fix")).path


class TestNames:
    @pytest.mark.parametrize("name", ["fix", "fix-2", "A.b_c", "1", "_x", "x" * 64])
    def test_good_names_pass(self, name: str) -> None:
        assert worktree.check_name(name, "builder") == name

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_names_are_refused_in_one_line_lesson_47(self, name: str) -> None:
        with pytest.raises(BadInputError) as caught:
            worktree.check_name(name, "agent")
        assert caught.value.hint
        assert "\n" not in caught.value.message
        assert len(caught.value.message) < 200

    @pytest.mark.parametrize("name", ["fix", "builder/fix", "a/b/c", "grün/ß", "x{y", "a.b", "a@b", "x-y"])
    def test_good_branches_pass(self, name: str) -> None:
        assert worktree.check_branch(name) == name

    @pytest.mark.parametrize("name", HOSTILE_BRANCHES)
    def test_hostile_branches_are_refused_lesson_47(self, name: str) -> None:
        with pytest.raises(BadInputError):
            worktree.check_branch(name)

    @given(st.text(alphabet="ab-./@{}~^:?*[\\ \x7f\u00e9", max_size=8).map("x{}".format))
    def test_git_would_say_the_same_of_a_branch(self, name: str) -> None:
        done = subprocess.run(
            ["git", "check-ref-format", "--branch", name], capture_output=True, check=False, cwd="/"
        )
        try:
            worktree.check_branch(name)
        except BadInputError:
            assert done.returncode != 0
        else:
            assert done.returncode == 0


class TestRepositoryOf:
    async def test_a_directory_deep_inside_leads_to_its_top(self, repository: Path) -> None:
        deep = repository / "a" / "b"
        deep.mkdir(parents=True)
        assert await worktree.repository_of(deep) == repository

    async def test_a_worktree_leads_to_the_main_one(self, repository: Path, builder: Path) -> None:
        assert await worktree.repository_of(builder) == repository

    async def test_a_symlink_leads_to_the_real_path_lesson_24(self, repository: Path, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(repository)
        assert await worktree.repository_of(link) == repository

    async def test_a_submodule_is_a_repository_of_its_own(self, repository: Path, tmp_path: Path) -> None:
        inner = make_repository(tmp_path / "inner")
        git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
        assert await worktree.repository_of(repository / "sub") == repository / "sub"
        made = await worktree.add(repository / "sub", repository / "sub" / ".builders" / "x", "x")
        assert await worktree.repository_of(made.path) == repository / "sub"

    @pytest.mark.parametrize("kind", ["outside", "bare", "absent", "file", "inside .git"])
    async def test_what_is_no_working_tree_is_refused_with_a_hint(
        self, repository: Path, tmp_path: Path, kind: str
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
            await worktree.repository_of(path)
        assert caught.value.hint

    async def test_a_worktree_of_a_bare_repository_has_no_main_one(
        self, repository: Path, tmp_path: Path
    ) -> None:
        git(tmp_path, "clone", "-q", "--bare", str(repository), ".git")
        git(tmp_path / ".git", "worktree", "add", "-q", str(tmp_path / "linked"), "main")
        with pytest.raises(BadInputError):
            await worktree.repository_of(tmp_path / "linked")

    async def test_a_missing_git_is_said(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(repository))
        with pytest.raises(BadInputError, match="git is not installed"):
            await worktree.repository_of(repository)

    async def test_an_outer_gits_variables_do_not_lead_astray(
        self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = make_repository(tmp_path / "other")
        monkeypatch.setenv("GIT_DIR", str(other / ".git"))
        monkeypatch.setenv("GIT_WORK_TREE", str(other))
        monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
        assert await worktree.repository_of(repository) == repository


async def test_the_current_branch_is_told(repository: Path, tmp_path: Path) -> None:
    assert await worktree.current_branch(repository) == "main"
    git(repository, "checkout", "-q", "--detach")
    assert await worktree.current_branch(repository) is None
    with pytest.raises(BadInputError):
        await worktree.current_branch(tmp_path)


class TestAdd:
    async def test_a_new_branch_begins_at_head(self, repository: Path) -> None:
        place = repository / ".builders" / "fix"
        made = await worktree.add(repository, place, "builder/fix")
        assert made == worktree.Worktree(path=place, branch="builder/fix", created_branch=True)
        assert await worktree.current_branch(place) == "builder/fix"
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
        assert (await worktree.losses(made.path)).untracked == (name,)
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
        hook = repository / ".git" / "hooks" / "post-checkout"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho no luck >&2\nexit 3\n", encoding="utf-8")
        hook.chmod(0o755)
        git(repository, "branch", "kept")
        before = everything(repository)
        for branch in ("fix", "kept"):
            with pytest.raises(ConflictError, match="no luck"):
                await worktree.add(repository, repository / ".builders" / "fix", branch)
            assert everything(repository) == before

    async def test_a_cancelled_attempt_leaves_nothing(self, repository: Path, tmp_path: Path) -> None:
        started = tmp_path / "started"
        hook = repository / ".git" / "hooks" / "post-checkout"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n: > '{started}'\nexec sleep 60\n", encoding="utf-8")
        hook.chmod(0o755)
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
        hasty = tmp_path / "bin" / "git"
        hasty.parent.mkdir()
        hasty.write_text(
            f'#!/bin/sh\n[ "$3" = worktree ] && [ ! -e {met} ] && touch {met} &&'
            " echo 'fatal: failed to read .git/worktrees/b1/commondir: Success' >&2 && exit 128\n"
            f'exec {shutil.which("git")} "$@"\n'
        )
        hasty.chmod(0o755)
        monkeypatch.setenv("PATH", str(hasty.parent), prepend=os.pathsep)
        made = await worktree.add(repository, repository / ".builders" / "fix", "builder/fix")
        assert met.exists()
        assert await worktree.current_branch(made.path) == "builder/fix"

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
        (made,) = [end for end in ends if isinstance(end, worktree.Worktree)]
        (refused,) = [end for end in ends if isinstance(end, AfxError)]
        assert isinstance(refused, ConflictError)
        assert await worktree.current_branch(place) == made.branch
        assert git(repository, "branch", "--list", "one", "two", "--format=%(refname:short)") == made.branch

    async def test_a_worktree_deleted_by_hand_can_be_made_again(
        self, repository: Path, builder: Path
    ) -> None:
        shutil.rmtree(builder)
        again = await worktree.add(repository, builder, "builder/fix")
        assert not again.created_branch
        assert await worktree.current_branch(builder) == "builder/fix"


class TestLosses:
    async def test_a_fresh_worktree_has_none(self, builder: Path) -> None:
        found = await worktree.losses(builder)
        assert not found.anything
        assert found == worktree.Losses()

    async def test_each_kind_is_counted_and_named(self, builder: Path) -> None:
        commit(builder, "done")
        (builder / "README").write_text("changed", encoding="utf-8")
        git(builder, "mv", "done", "moved ü")
        (builder / "dir").mkdir()
        for number in range(4):
            (builder / "dir" / f"n{number}").touch()
        found = await worktree.losses(builder)
        assert set(found.modified) == {"README", "done", "moved ü"}
        assert found.untracked == ("dir/n0", "dir/n1", "dir/n2", "dir/n3")
        assert [line.partition(" ")[2] for line in found.commits] == ["Add done"]
        sentence = found.sentence()
        assert "3 changed files (" in sentence
        assert "4 files not in git (dir/n0, dir/n1, dir/n2, ...)" in sentence
        assert "1 commit that is nowhere else (" in sentence

    async def test_ignored_files_are_none(self, repository: Path) -> None:
        commit(repository, ".gitignore", "build\n")
        made = await worktree.add(repository, repository / ".builders" / "fix", "fix")
        (made.path / "build").touch()
        assert not (await worktree.losses(made.path)).anything

    @pytest.mark.parametrize("where", ["branch", "remote", "tag"])
    async def test_commits_that_are_elsewhere_are_none(
        self, repository: Path, builder: Path, tmp_path: Path, where: str
    ) -> None:
        commit(builder, "done")
        assert len((await worktree.losses(builder)).commits) == 1
        if where == "branch":
            git(repository, "merge", "-q", "builder/fix")
        elif where == "tag":
            git(builder, "tag", "kept")
        else:
            git(tmp_path, "init", "-q", "--bare", "remote")
            git(builder, "push", "-q", str(tmp_path / "remote"), "builder/fix")
            assert len((await worktree.losses(builder)).commits) == 1
            git(builder, "remote", "add", "origin", str(tmp_path / "remote"))
            git(builder, "fetch", "-q", "origin")
        assert not (await worktree.losses(builder)).anything

    async def test_commits_on_a_detached_head_count(self, builder: Path) -> None:
        git(builder, "checkout", "-q", "--detach")
        commit(builder, "loose")
        commit(builder, "looser")
        assert len((await worktree.losses(builder)).commits) == 2
        assert len((await worktree.losses(builder, "builder/fix")).commits) == 2

    async def test_the_agents_branch_counts_where_another_is_checked_out(self, builder: Path) -> None:
        commit(builder, "done")
        git(builder, "checkout", "-q", "-b", "side", "main")
        assert not (await worktree.losses(builder)).anything
        assert len((await worktree.losses(builder, "builder/fix")).commits) == 1

    async def test_a_stash_stays_and_is_no_loss(self, repository: Path, builder: Path) -> None:
        (builder / "README").write_text("changed", encoding="utf-8")
        git(builder, "stash", "-q")
        assert not (await worktree.losses(builder)).anything
        await worktree.remove(repository, builder, force=False, delete_branch=True)
        assert git(repository, "stash", "list")

    async def test_a_file_name_that_is_no_utf8_is_shown(self, builder: Path) -> None:
        try:
            (builder / "\udcff").touch()
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
        assert (await worktree.losses(builder)).sentence().encode()

    async def test_a_directory_that_is_no_worktree_any_more_is_not_asked(
        self, repository: Path, builder: Path
    ) -> None:
        (builder / ".git").unlink()
        with pytest.raises(ConflictError, match="not a git worktree"):
            await worktree.losses(builder)
        with pytest.raises(ConflictError, match="not a git worktree"):
            await worktree.losses(repository)


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
