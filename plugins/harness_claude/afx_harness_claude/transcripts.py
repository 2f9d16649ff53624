"""Where Claude Code keeps the transcript of a conversation.

The program names a project's directory after the path it works in. The rules here were checked against
Claude Code 2.1.329. What is said in a transcript is the business of `talk`.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

# Looked up now: later the Python that the Tower runs in may have been replaced on the disk.
_UTF_16 = codecs.lookup("utf-16-le")
_LONGEST_NAME = 200
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_CHOSEN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEVICE_NAME = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]", re.IGNORECASE)


def config_directory(env: Mapping[str, str], cwd: Path) -> Path:
    """Return the program's configuration directory.

    A relative CLAUDE_CONFIG_DIR counts from `cwd`, and an empty one is `cwd` itself, as for the program.
    """
    chosen = env.get("CLAUDE_CONFIG_DIR")
    if chosen is None:
        return Path(env.get("HOME") or Path.home(), ".claude")
    return cwd / unicodedata.normalize("NFC", chosen)


def project_name(real_path: str) -> str:
    """Return the name of the directory that holds the transcripts of conversations in `real_path`.

    Every UTF-16 unit that is no ASCII letter or digit becomes a dash. What is longer than 200 is cut there
    and told apart by a hash of the whole path.
    """
    # Bytes that are no UTF-8 reach the program as replacement characters.
    path = real_path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    encoded, _ = _UTF_16.encode(path)
    units = [int.from_bytes(encoded[at : at + 2], "little") for at in range(0, len(encoded), 2)]
    name = "".join(chr(unit) if unit < 128 and chr(unit).isalnum() else "-" for unit in units)
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}-{_base36(abs(_java_hash(units)))}"


def project_directory(cwd: Path, env: Mapping[str, str]) -> Path:
    """Return the directory of the transcripts of conversations in `cwd`.

    CLAUDE_CODE_PROJECT_DIR_NAME chooses its name where CLAUDE_CONFIG_DIR is set too and the name is one
    that the program takes.
    """
    real = cwd.resolve()
    chosen = env.get("CLAUDE_CODE_PROJECT_DIR_NAME", "")
    taken = (
        env.get("CLAUDE_CONFIG_DIR") and _CHOSEN_NAME.fullmatch(chosen) and not _DEVICE_NAME.fullmatch(chosen)
    )
    return config_directory(env, real) / "projects" / (chosen if taken else project_name(str(real)))


def transcript(session_id: str, cwd: Path, env: Mapping[str, str]) -> Path:
    """Return where the transcript of a conversation that was begun in `cwd` lies, or would lie."""
    return project_directory(cwd, env) / f"{session_id}.jsonl"


def elsewhere(session_id: str, cwd: Path, env: Mapping[str, str]) -> list[Path]:
    """Return the transcripts of this id that belong to other directories than `cwd`.

    Raises:
        OSError: The directory of all projects is there and cannot be read.
    """
    projects = config_directory(env, cwd.resolve()) / "projects"
    try:
        directories = list(projects.iterdir())
    except FileNotFoundError:
        return []
    own = transcript(session_id, cwd, env)
    paths = (directory / f"{session_id}.jsonl" for directory in directories)
    return [path for path in paths if path != own and path.exists()]


def _java_hash(units: list[int]) -> int:
    value = 0
    for unit in units:
        value = (value * 31 + unit) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits
