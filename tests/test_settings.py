from __future__ import annotations

from pathlib import Path

import pytest

from afx.api.errors import BadInputError
from afx.settings import SETTINGS, Settings, config_file, known_setting, state_directory
from afx.settings.trust import distrust, trust_present

DOCS = Path(__file__).parents[1] / "docs/reference/settings.md"


@pytest.fixture
def person(tmp_path: Path) -> Path:
    path = tmp_path / "person/config.toml"
    path.parent.mkdir()
    return path


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    return path


def load(person: Path, workspace: Path | None = None, **env: str) -> Settings:
    return Settings.load(workspace, env={"AFX_CONFIG": str(person), **env})


@pytest.mark.parametrize(
    ("places", "value", "origin"),
    [
        (set(), 4100, "default"),
        ({"person"}, 4101, "PERSON"),
        ({"person", "workspace"}, 4102, "afx.toml"),
        ({"person", "workspace", "environment"}, 4103, "AFX_PORT"),
        ({"person", "workspace", "environment", "option"}, 4104, "option"),
        ({"person", "environment"}, 4103, "AFX_PORT"),
        ({"workspace", "option"}, 4104, "option"),
    ],
)
def test_the_nearer_wins(person: Path, workspace: Path, places: set[str], value: int, origin: str) -> None:
    if "person" in places:
        person.write_text("[tower]\nport = 4101\n")
    if "workspace" in places:
        (workspace / "afx.toml").write_text("tower.port = 4102\n")
    env = {"AFX_CONFIG": str(person)} | ({"AFX_PORT": "4103"} if "environment" in places else {})
    options = {"tower.port": 4104 if "option" in places else None}
    settings = Settings.load(workspace, options, env)
    assert settings["tower.port"] == value
    assert settings.origin("tower.port") == origin.replace("PERSON", str(person))


def test_every_default_is_a_value_that_could_be_set(person: Path) -> None:
    settings = Settings.load(
        None, {name: s.default for name, s in SETTINGS.items()}, {"AFX_CONFIG": str(person)}
    )
    assert dict(settings) == {name: setting.default for name, setting in SETTINGS.items()}


def test_every_environment_variable_is_its_own() -> None:
    assert len({setting.env for setting in SETTINGS.values()}) == len(SETTINGS)
    assert not {setting.env for setting in SETTINGS.values()} & {
        "AFX_HOME",
        "AFX_AGENT",
        "AFX_TERMINAL",
        "AFX_CONFIG",
    }


@pytest.mark.parametrize(
    ("text", "value"), [("4MiB", 4 << 20), ("64 kb", 64000), ("4096", 4096), ("1GiB", 1 << 30)]
)
def test_sizes(person: Path, text: str, value: int) -> None:
    assert load(person, AFX_SCROLLBACK=text)["terminal.scrollback"] == value
    person.write_text(f'terminal.scrollback = "{text}"')
    assert load(person)["terminal.scrollback"] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("true", True), ("Yes", True), ("0", False), ("FALSE", False), ("no", False)],
)
def test_switches(person: Path, text: str, value: bool) -> None:
    assert load(person, AFX_ALLOW_UNATTENDED=text)["agent.allow_unattended"] is value
    person.write_text(f"agent.allow_unattended = {str(value).lower()}")
    assert load(person)["agent.allow_unattended"] is value


def test_names_come_as_a_list_or_with_commas(person: Path) -> None:
    person.write_text('plugins.disabled = ["one", " two "]')
    assert load(person)["plugins.disabled"] == ["one", "two"]
    assert load(person, AFX_DISABLED_PLUGINS="a, b,,")["plugins.disabled"] == ["a", "b"]


def test_a_role_file_is_found_from_the_file_that_names_it(person: Path, workspace: Path) -> None:
    person.write_text('architect.role = "roles/a.md"')
    (workspace / "afx.toml").write_text('builder.role = "/b.md"')
    settings = load(person, workspace)
    assert settings["architect.role"] == str(person.parent / "roles/a.md")
    assert settings["builder.role"] == "/b.md"


def test_an_empty_variable_sets_nothing(person: Path) -> None:
    assert load(person, AFX_PORT="").origin("tower.port") == "default"


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"),
    [
        ('[tower]\n\n# here\nport = "x"\n', 4, "from 0 to 65535", "port"),
        ("tower.port = true", 1, "from 0 to 65535", "port"),
        ("tower.port = 65536", 1, "from 0 to 65535", "port"),
        ("tower.boot_deadline = 0", 1, "number of seconds", "survivors"),
        ("tower.boot_deadline = nan", 1, "number of seconds", "survivors"),
        ("\n[terminal]\nscrollback = 12", 3, "4MiB", "holder"),
        ('[terminal]\nscrollback = """\n4\nMiB, or so"""\n', 2, "4MiB", "holder"),
        ('agent.harness = "Claude Code"', 1, "lower-case", "harness"),
        ("agent.allow_unattended = 1", 1, "true or false", "without asking"),
        ('agent.allow_unattended = "maybe"', 1, "true or false", "without asking"),
        ("recover.max_age_days = 0", 1, "number of days", "stale"),
        ("recover.max_age_days = nan", 1, "number of days", "stale"),
        ("recover.jobs = 0", 1, "from 1 to 64", "same time"),
        ("recover.jobs = 1.5", 1, "from 1 to 64", "same time"),
        ("plugins.disabled = 3", 1, "list of names", "Plugins"),
        ('attach.detach_key = "F12"', 1, "ctrl-", "leave"),
        ('builder.branch_prefix = "a\\nb"', 1, "one line", "branch"),
        ("[tower]\nprot = 1", 2, "'tower.prot' is no setting", "'tower.port'"),
        ("[twoer]\n", 1, "'twoer' is no setting", ""),
        ("tower = 3", 1, "'tower' is no setting", ""),
        ("zzz = 3", 1, "'zzz' is no setting", "afx config"),
        ("[tower.port]\nx = 1", 1, "from 0 to 65535", "port"),
    ],
)
def test_a_mistake_names_file_line_and_what_was_expected(
    person: Path, text: str, line: int, says: str, hint: str
) -> None:
    person.write_text(text)
    with pytest.raises(BadInputError) as caught:
        load(person)
    assert f"{person}, line {line}, column " in caught.value.message
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_what_is_no_toml_names_line_and_column(workspace: Path, person: Path) -> None:
    (workspace / "afx.toml").write_text("[tower]\nport = = 3\n")
    with pytest.raises(BadInputError, match=r"afx\.toml is no TOML: .*line 2, column 8"):
        load(person, workspace)


def test_what_is_no_text_is_said(person: Path) -> None:
    person.write_bytes(b"a = '\xff'")
    with pytest.raises(BadInputError, match="UTF-8"):
        load(person)


def test_a_wrong_variable_is_named(person: Path) -> None:
    with pytest.raises(BadInputError, match="AFX_PORT is 'many', and must be"):
        load(person, AFX_PORT="many")


@pytest.mark.parametrize(
    ("text", "line", "column", "says", "hint"),
    [
        ("\n[harness.Bar]\ncommand = 'x'", 2, 1, "'Bar' cannot be the name of a harness", "[harness.bar]"),
        ("[harness]\nfoo_bar = {}", 2, 1, "must be of lower-case letters, digits and", "[harness.foo-bar]"),
        ("[harness.'?']", 1, 1, "'?' cannot be the name of a harness", ""),
        ("[harness]\nok = {}\nbar = 3", 3, 1, "harness.bar is 3, and must be a table", "[harness.NAME]"),
        ("[[harness.bar]]\ncommand = 'x'", 1, 1, "harness.bar is a list, and must be a table", ""),
        ("harness = 3", 1, 1, "harness is 3, and must be a table", "[harness.NAME]"),
        ("[[harness]]\nbar = 3", 1, 1, "harness is a list, and must be a table", "[harness.NAME]"),
        ("['harness.bar']\ncommand = 'x'", 1, 1, "'harness.bar' in quotes is one word", "[harness.bar]"),
        ("[strategy]\ntmux = 'on'", 2, 1, "strategy.tmux is 'on', and must be a table", "[strategy.NAME]"),
        ("[storage]\nname = 'a'\nfiles = 1", 3, 1, "storage.files is 1, and must be a table", ""),
    ],
)
def test_what_would_be_passed_over_among_sections_is_said(
    person: Path, text: str, line: int, column: int, says: str, hint: str
) -> None:
    person.write_text(text)
    with pytest.raises(BadInputError) as caught:
        load(person)
    assert caught.value.message.startswith(f"{person}, line {line}, column {column}: ")
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_an_empty_table_of_sections_is_none(person: Path) -> None:
    person.write_text("[harness]\n[storage]\n[strategy]\n")
    assert load(person).section("harness") == {}


def test_a_plugin_owns_its_section(person: Path, workspace: Path) -> None:
    person.write_text("[strategy.shellper]\na = 1\nb = {c = 1, d = 2}\n[harness.claude]\nx = 'y'\n")
    (workspace / "afx.toml").write_text("[strategy.shellper]\nb = {c = 3}\n")
    settings = load(person, workspace)
    assert settings.section("strategy.shellper") == {"a": 1, "b": {"c": 3, "d": 2}}
    assert settings.section("harness.claude") == {"x": "y"}
    assert settings.section("strategy.tmux") == {}
    assert load(person).section("strategy.shellper")["b"] == {"c": 1, "d": 2}


def test_the_storage_is_named_beside_its_section(person: Path) -> None:
    person.write_text('[storage]\nname = "other"\n[storage.other]\npath = "/x"\n')
    settings = load(person)
    assert settings["storage.name"] == "other"
    assert settings.section("storage.other") == {"path": "/x"}


def test_where_the_configuration_is() -> None:
    assert config_file({"AFX_CONFIG": "/c.toml"}) == Path("/c.toml")
    assert config_file({"XDG_CONFIG_HOME": "/xdg"}) == Path("/xdg/afx/config.toml")
    assert config_file({}).name == "config.toml"


def test_where_the_state_is() -> None:
    assert state_directory({"AFX_HOME": "/a/../b"}) == Path("/b")
    assert state_directory({"XDG_STATE_HOME": "/xdg"}) == Path("/xdg/afx")
    assert state_directory({}).is_absolute()


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"AFX_HOME": "here"}, "no absolute path"),
        ({"AFX_HOME": "/run/user/1000/afx"}, "wiped at logout"),
        ({"XDG_STATE_HOME": "/r/s", "XDG_RUNTIME_DIR": "/r"}, "wiped at logout"),
    ],
)
def test_state_survives_logout_lesson_44(env: dict[str, str], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        state_directory(env)


def test_every_setting_is_documented() -> None:
    text = DOCS.read_text()
    for setting in SETTINGS.values():
        assert f"`{setting.name}`" in text
        assert f"`{setting.env}`" in text
        assert known_setting(setting.name) is setting


@pytest.mark.parametrize(
    ("text", "needs_trust"),
    [
        ("agent.allow_unattended = true", {"agent.allow_unattended"}),
        ('"agent.allow_unattended" = true', {"agent.allow_unattended"}),
        ("agent = { allow_unattended = true }", {"agent.allow_unattended"}),
        ("agent.allow_unattended = false", set()),
        ('builder.directory = ".builders"', set()),
        ('builder.directory = "../elsewhere"', {"builder.directory"}),
        ('builder.directory = "a/../../elsewhere"', {"builder.directory"}),
        ('builder.directory = "~/.vim/pack/x/start"', {"builder.directory"}),
        ('"builder.directory" = "/elsewhere"', {"builder.directory"}),
        ("[harness.foo]", {"harness.foo"}),
        ("harness = { foo = {}, bar = {} }", {"harness.foo", "harness.bar"}),
    ],
)
def test_what_runs_something_or_leads_out_needs_trust(
    tmp_path: Path, text: str, needs_trust: set[str]
) -> None:
    env = {"AFX_CONFIG": str(tmp_path / "none.toml"), "AFX_HOME": str(tmp_path / "state")}
    (tmp_path / "afx.toml").write_text(text)
    assert set(trust_present(tmp_path, env)) == needs_trust
    plain = {name for name in needs_trust if not name.startswith("harness.")}
    settings = Settings.load(tmp_path, env=env)
    assert all(settings.origin(name) == "afx.toml" for name in plain)
    distrust(tmp_path, env)
    settings = Settings.load(tmp_path, env=env)
    assert all(settings.origin(name) == "default" for name in plain)


def test_a_workspace_grants_nothing_before_it_is_trusted(tmp_path: Path) -> None:
    person = tmp_path / "config.toml"
    person.write_text("agent.allow_unattended = false")
    env = {"AFX_CONFIG": str(person), "AFX_HOME": str(tmp_path / "state")}
    harmless, granting = "[builder]\nbranch_prefix = 'x'\n", "[agent]\nallow_unattended = true\n"
    (tmp_path / "afx.toml").write_text(f"{harmless}{granting}[harness.foo]\nargs = []\n")
    settings = Settings.load(tmp_path, env=env)
    assert settings["agent.allow_unattended"] is False
    assert settings.origin("agent.allow_unattended") == str(person)
    assert settings.origin("builder.branch_prefix") == "afx.toml"
    for name in ("harness.foo", "harness.foo.transcripts"):
        with pytest.raises(BadInputError, match=r"afx\.toml sets \[harness\.foo\]"):
            settings.section(name)
    assert settings.section("harness.bar") == {}
    assert set(trust_present(tmp_path, env)) == {"harness.foo", "agent.allow_unattended"}
    assert (tmp_path / "state/trusted.json").stat().st_mode & 0o077 == 0
    settings = Settings.load(tmp_path, env=env)
    assert settings["agent.allow_unattended"] is True
    assert settings.section("harness.foo") == {"args": []}
    (tmp_path / "state/trusted.json").write_text("no JSON")
    assert Settings.load(tmp_path, env=env)["agent.allow_unattended"] is False
