"""Changes one list in the text of a settings file, and leaves everything else in it as a person wrote it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

from afx.api.errors import BadInputError

from .positions import positions


def with_list(text: str, table: str, key: str, values: Sequence[str]) -> str | None:
    """Return a TOML text in which ``[table] key`` is this list; None where that cannot be written safely."""
    written = json.dumps(list(values), ensure_ascii=False)
    spots = positions(text)
    if (spot := spots.get((table, key))) is not None:
        changed = f"{text[: spot.start]}{written}{text[spot.end :]}"
    elif (spot := spots.get((table,))) is not None and text.startswith("[", spot.start):
        rest = text[spot.end :]
        end_of_line = spot.end + (rest.index("\n") if "\n" in rest else len(rest))
        changed = f"{text[:end_of_line]}\n{key} = {written}{text[end_of_line:]}"
    else:
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        changed = f"{text}{gap}[{table}]\n{key} = {written}\n"
    try:
        wanted = tomllib.loads(text)
        wanted.setdefault(table, {})[key] = list(values)
        return changed if tomllib.loads(changed) == wanted else None
    except (tomllib.TOMLDecodeError, AttributeError, TypeError):
        return None


def read_list(path: Path, table: str, key: str) -> list[str]:
    """Return the list that stands in a file under ``[table] key``; empty where none does.

    The file is one that `Settings.load` has read without complaint.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get(table, {}).get(key, [])
    except FileNotFoundError:
        return []
    return [name for name in found if isinstance(name, str)]


def write_list(path: Path, table: str, key: str, values: Sequence[str]) -> None:
    """Let ``[table] key`` be this list in a file, which is made where it is missing.

    Raises:
        BadInputError: It cannot be written.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        changed = with_list(text, table, key, values)
        if changed is None:
            raise BadInputError(
                f"{path} is written in a way that cannot be changed safely.",
                hint=f"Set {table}.{key} there by hand to {json.dumps(list(values))}.",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        # A link stays one: it may lead to where a person keeps such files.
        real = path.resolve()
        new = real.with_name(f".{real.name}.new")
        new.write_text(changed, encoding="utf-8")
        if real.exists():
            new.chmod(real.stat().st_mode & 0o777)
        new.replace(real)
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be written: {error.strerror}.", hint="Mend that, or change the file by hand."
        ) from None
