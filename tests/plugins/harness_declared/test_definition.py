"""What may stand in [harness.NAME], and how a mistake in it is told: place, and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from afx.api.errors import BadInputError, PluginError
from afx.loader import Plugins
from afx.quarantine import PluginState
from afx.settings import Settings
from afx.settings.trust import trust_present

GOOD = """
[harness.foo]
command = ["foo", "foo-cli"]
new = ["--id", "{session_id}"]
resume = ["--resume={session_id}"]
transcripts = { files = "~/.foo/{session_id}.jsonl", cwd = { json = "cwd" } }
"""


def load(text: str, tmp_path: Path) -> Plugins:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return Plugins.load(settings=Settings.load(None, env={"AFX_CONFIG": str(path)}))


def test_a_section_is_a_harness(tmp_path: Path) -> None:
    plugins = load(GOOD, tmp_path)
    harness = plugins.harness("foo")
    assert (harness.name, harness.commands) == ("foo", ("foo", "foo-cli"))
    assert plugins.harness("foo") is harness
    assert "foo" in plugins.harness_names()
    assert "declared" not in plugins.harness_names()
    (row,) = (row for row in plugins.rows() if row.name == "foo")
    assert (row.kind, row.state) == ("harness", PluginState.ACTIVE)
    assert row.summary == f"Declared in {tmp_path}/config.toml, line 2, column 1."


def test_a_workspace_has_its_own(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "afx.toml").write_text('[harness.foo]\ncommand = "bar"\n')
    person = tmp_path / "config.toml"
    person.write_text(GOOD)
    env = {"AFX_CONFIG": str(person), "AFX_HOME": str(tmp_path / "state")}
    plugins = Plugins.load(settings=Settings.load(None, env=env))
    trust_present(workspace, env)
    here = Settings.load(workspace, env=env)
    assert plugins.harness("foo", here).commands == ("bar",)
    assert plugins.harness("foo").commands == ("foo", "foo-cli")
    assert plugins.harness("foo", here).session is not None, "The rest of the section still counts."


def test_the_section_of_an_installed_harness_is_its_own(tmp_path: Path) -> None:
    plugins = load('[harness.claude]\ncommand = "foo"\n', tmp_path)
    claude = plugins.harness("claude")
    assert claude.commands == ("claude",)
    assert claude.context.settings == {"command": "foo"}


CONVERSING = 'new = ["{session_id}"]\nresume = ["{session_id}"]'


@pytest.mark.parametrize(
    ("line", "column", "says", "hint"),
    [
        ("command = 3", 1, "command is a number, and must be a text or a list of texts", ""),
        ("command = []", 1, "must name the program's executable", ""),
        ('command = "-x"', 1, "must name the program's executable", ""),
        ('args = ["a", 3]', 14, "args.1 is a number, and must be a text", ""),
        ('args = ["{sesion}"]', 9, "{sesion} is not known here, but {cwd}, {directory}, {name}", ""),
        ('args = ["{name:-x}"]', 9, "nothing can follow the name in {name}", ""),
        ("mint = '{uuid:d}'", 1, "nothing can follow the name in {uuid}", ""),
        ('args = ["{"]', 9, "a brace that stands for itself is written twice", ""),
        ('resum = ["x"]', 1, "resum is no field of a harness", "Did you mean `resume`?"),
        ('new = ["--id", "{session_id}"]', 1, "so `resume` must say how one is resumed", ""),
        ('resume = ["--last"]', 1, "must have {session_id} in it", ""),
        ('resume = ["{session_id}"]', 1, "needs an id: either `new` begins", ""),
        ('id = "["', 1, "is no regular expression", ""),
        (f"mint = 'a-{{hex}}'\n{CONVERSING}", 1, "makes no id as `id` has it, 'uuid'", ""),
        (f"id = 'a-.+'\n{CONVERSING}", 1, "no id matches that `mint` makes", ""),
        ("screen = { waiting = ['ok', '('] }", 29, "screen.waiting.1 is '(', which is no regular", ""),
        ("exits = { auth = [1.5] }", 19, "exits.auth.0", ""),
        ("transcripts = { files = 'x', id = {} }", 30, "exactly one of `json`, `path` and `text`", ""),
        ("transcripts = { id = { json = 'x' } }", 1, "must have `files`", ""),
        ("transcripts = { files = 'x', cwd = { jsn = 'x' } }", 38, "jsn is no field", "`json`"),
        ("paste = 'yes'", 1, "paste is a text, and must be true or false", ""),
        ("env = { A = 'x', B = 3 }", 18, "env.B is a number, and must be a text", ""),
        ("env = { 'A=B' = 'x' }", 9, "env.A=B is no name of a variable", ""),
        ("env = { A = '\\u0000' }".replace("'", '"'), 9, "no program can be told a NUL", ""),
        ("scrub = ['FOO_*', '*']", 19, "scrub.1 is '*', which is no name of a variable", ""),
        ("home_env = ['$FOO_HOME']", 13, "home_env.0 is '$FOO_HOME', which is no name", ""),
        ("lasting_env = ['FOO_*']", 16, "lasting_env.0 is 'FOO_*', which is no name", ""),
        ("unattended = ['--yes', ' ']", 24, "unattended.1 is ' ', and must be an argument", ""),
        ("unattended = '--yes'", 1, "unattended is a text, and must be a list of texts", ""),
        ("command = 'foo --fast'", 1, "its arguments go into `args`", ""),
        (
            "command = ['foo', '~/bin/foo']",
            19,
            "'~/bin/foo', and must be a name on the PATH",
            "",
        ),
        (f"mint = 'same'\nid = 'same'\n{CONVERSING}", 1, "which is the same each time", ""),
        ("checked_versions = [1.5]", 21, "checked_versions.0 is a number, and must be a text", ""),
        ("exits = { auth = [41, 300] }", 23, "exits.auth.1 is 300; exit codes are from 0 to 255", ""),
        ("exits = { quit = [-1] }", 19, "exits.quit.0 is -1; exit codes are from 0 to 255", ""),
        ("exits = { quit = 0 }", 11, "is a number, and must be a list of exit codes and regular", ""),
        ("screen = { waiting = '>' }", 12, "is a text, and must be a list of regular expressions", ""),
        ("transcripts = { files = '' }", 17, "files is '', and must be a pattern of paths", ""),
        (
            "transcripts = { files = 'x', cwd = { json = 'a.' } }",
            38,
            "is 'a.', and must name a field",
            "",
        ),
    ],
)
def test_a_mistake_names_its_place(tmp_path: Path, line: str, column: int, says: str, hint: str) -> None:
    first = "" if line.startswith("command") else 'command = "foo"'
    text = f"[harness.foo]\n{first}\n{line}\n"
    plugins = load(text, tmp_path)
    with pytest.raises(BadInputError) as caught:
        plugins.harness("foo")
    assert caught.value.message.startswith(f"{tmp_path}/config.toml, line 3, column {column}: harness.foo")
    assert says in caught.value.message
    assert hint in caught.value.hint
    row = next(row for row in plugins.rows() if row.name == "foo")
    assert (row.state, row.error) == (PluginState.BROKEN, caught.value.message)
    # A mistake of a person's breaks no plugin.
    assert next(row for row in plugins.rows() if row.name == "declared").state is PluginState.ACTIVE


def test_highest_and_lowest_exit_codes_are_taken(tmp_path: Path) -> None:
    text = '[harness.foo]\ncommand = "/opt/the foo/foo"\nexits = { quit = [0, 255] }\nscrub = ["FOO_*"]\n'
    plugins = load(text, tmp_path)
    assert plugins.harness("foo").commands == ("/opt/the foo/foo",)


def test_what_makes_harnesses_is_none_itself(tmp_path: Path) -> None:
    plugins = load("", tmp_path)
    with pytest.raises(PluginError, match="There is no harness 'declared'"):
        plugins.harness("declared")
    plugins = load('[harness.declared]\ncommand = "foo"\n', tmp_path)
    assert plugins.harness("declared").commands == ("foo",)
    assert "declared" in plugins.harness_names()


def test_what_is_missing_is_told_at_the_header(tmp_path: Path) -> None:
    plugins = load("\n[harness.foo]\nsummary = 'x'\n", tmp_path)
    with pytest.raises(BadInputError, match=r"line 2, column 1: harness\.foo must have `command`"):
        plugins.harness("foo")
