"""Where things stand in a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx.settings.positions import Path, nearest, positions

TEXT = '''\
# a comment with [brackets] and "quotes"
top = 1 # more
[harness.foo]
command = ["foo", 'b"ar', """
mu]lti""" , 3]   # end
"quoted key".inner = { a = 1, b.c = [ { d = 'x' }, { d = 'y' } ] }
[[list]]
name = "one"
[[list.below]]
deep = 1979-05-27 07:32:00
[[list]]
name = "two" # [no]
[list.table]
key = \'\'\'it's\'\'\'
'''


def leaves(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from leaves(value, (*path, number))
    else:
        yield path, tree


def value_of(text: str) -> Any:
    return tomllib.loads(f"v = {text}")["v"]


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n")])
def test_everything_is_found_where_it_is_written(text: str) -> None:
    spots = positions(text)
    for path, value in leaves(tomllib.loads(text)):
        assert value_of(text[spots[path].start : spots[path].end]) == value


def test_a_spot_names_line_and_column() -> None:
    spots = positions(TEXT)
    assert str(spots["top",]) == "line 2, column 1"
    assert str(spots["harness", "foo"]) == "line 3, column 1"
    assert str(spots["harness", "foo", "command", 1]) == "line 4, column 19"
    assert str(spots["list", 1, "name"]) == "line 12, column 1"
    assert nearest(spots, ("harness", "foo", "nothing")) == spots["harness", "foo"]
    assert nearest(spots, ("nobody",)) is None


words = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8)
values = st.recursive(
    st.booleans() | st.integers(-9, 9) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


def quoted(text: str) -> str:
    escaped = "".join(
        f"\\U{ord(one):08x}" if one in '"\\' or ord(one) < 32 or ord(one) == 127 else one for one in text
    )
    return f'"{escaped}"'


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quoted(key)} = {written(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[\n" + ", # ]\n".join(written(one) for one in value) + "\n]"
    return quoted(value) if isinstance(value, str) else str(value).lower()


@given(st.dictionaries(words, st.dictionaries(words, values, max_size=3), max_size=3))
def test_whatever_is_written_is_found(tree: dict[str, dict[str, Any]]) -> None:
    lines = []
    for key, table in tree.items():
        lines.append(f"[{quoted(key)}] # [x]")
        lines += [f'  {quoted(inner)} = {written(value)} # "' for inner, value in table.items()]
    text = "\n".join(lines)
    assert tomllib.loads(text) == tree
    spots = positions(text)
    for path, value in leaves(tree):
        assert value_of(text[spots[path].start : spots[path].end]) == value
