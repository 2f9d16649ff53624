"""One list in a settings file is changed, and nothing else in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from afx.api.errors import BadInputError
from afx.settings.editing import read_list, with_list, write_list


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[plugins]\ndisabled = ["a", "b"]\n'),
        ("x = 1 # one", 'x = 1 # one\n\n[plugins]\ndisabled = ["a", "b"]\n'),
        ("[plugins] # mine\n[t]\n", '[plugins] # mine\ndisabled = ["a", "b"]\n[t]\n'),
        ("[plugins]", '[plugins]\ndisabled = ["a", "b"]'),
        ("[plugins]\ndisabled = [ 'c', # why\n] # end\n", '[plugins]\ndisabled = ["a", "b"] # end\n'),
        ("plugins.disabled = []\n", 'plugins.disabled = ["a", "b"]\n'),
        ("plugins = { disabled = ['x'] }\n", 'plugins = { disabled = ["a", "b"] }\n'),
        ("plugins = {}\n", None),
    ],
)
def test_only_the_list_changes(before: str, after: str | None) -> None:
    assert with_list(before, "plugins", "disabled", ["a", "b"]) == after
    if after is not None:
        assert tomllib.loads(after)["plugins"]["disabled"] == ["a", "b"]


def test_a_file_is_made_and_a_link_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "deep/config.toml"
    assert read_list(path, "plugins", "disabled") == []
    write_list(path, "plugins", "disabled", ["ä"])
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    write_list(link, "plugins", "disabled", ["ä", "b"])
    assert link.is_symlink()
    assert read_list(path, "plugins", "disabled") == ["ä", "b"]
    assert [one.name for one in path.parent.iterdir()] == ["config.toml"]


def test_what_cannot_be_changed_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("plugins = {}\n")
    with pytest.raises(BadInputError, match="safely") as caught:
        write_list(path, "plugins", "disabled", ["a"])
    assert '["a"]' in caught.value.hint
    assert path.read_text() == "plugins = {}\n"
