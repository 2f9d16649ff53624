"""Settings for one agent's Gemini CLI that are put over the person's own, without a change to those.

The program has one file whose settings win over all others, meant for the administrator of a machine. Each
agent gets one of its own: what the administrator says, and two things more.

- Nothing is cleaned up. Each resume leaves a small file behind, and the program's clean-up takes a
  conversation away together with such a file.
- The role is read as one of the context files, which is how the program takes instructions beside its own.
  A system prompt of ours would replace the program's, and an additional directory with a context file in it
  would make the program ask whether it is trusted. Context files are named relative to several directories,
  one of which is the program's own in the person's home, so the role is named relative to that one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from afx.plugin import SpawnError

from .chats import home

PATH_VARIABLE = "GEMINI_CLI_SYSTEM_SETTINGS_PATH"
FILE_NAME = "afx-gemini-settings.json"

_DEFAULTS_VARIABLE = "GEMINI_CLI_SYSTEM_DEFAULTS_PATH"
_USUAL_CONTEXT = "GEMINI.md"
# The program allows comments. A string is matched first, so that what looks like one inside it stays.
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def settings(env: Mapping[str, str], cwd: Path, role: str | None) -> str:
    """Return the content of the file for an agent that works in `cwd`.

    Args:
        env: The environment that the program would be started with.
        cwd: The directory that the agent works in.
        role: The file that holds its role; None for no role.

    Raises:
        SpawnError: Settings that a person made cannot be read.
    """
    system = _read(_system_file(env))
    general = _section(system, "general")
    retention = _section(general, "sessionRetention")
    made: dict[str, Any] = {
        **system,
        "general": {**general, "sessionRetention": {**retention, "enabled": False}},
    }
    if role is not None:
        context = _section(system, "context")
        names = [*_context_names(env, cwd, system), os.path.relpath(role, home(env))]
        made["context"] = {**context, "fileName": names}
    return msgspec.json.format(msgspec.json.encode(made)).decode()


def _context_names(env: Mapping[str, str], cwd: Path, system: dict[str, Any]) -> list[str]:
    """Return the names of context files that hold without us: those of the settings that win."""
    files = (
        cwd / ".gemini" / "settings.json",
        home(env) / "settings.json",
        Path(env.get(_DEFAULTS_VARIABLE) or _machine_directory() / "system-defaults.json"),
    )
    for found in (system, *(_read(path) for path in files)):
        names = _section(found, "context").get("fileName")
        if isinstance(names, str):
            return [names]
        if isinstance(names, list):
            return [name for name in names if isinstance(name, str)]
    return [_USUAL_CONTEXT]


def _system_file(env: Mapping[str, str]) -> Path:
    chosen = env.get(PATH_VARIABLE)
    # One of ours got here when the Tower was started by an agent, and tells of that agent's role.
    if chosen and Path(chosen).name != FILE_NAME:
        return Path(chosen)
    return _machine_directory() / "settings.json"


def _machine_directory() -> Path:
    return Path("/Library/Application Support/GeminiCli" if sys.platform == "darwin" else "/etc/gemini-cli")


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SpawnError(f"The settings of Gemini CLI in {path} cannot be read: {error}.") from None
    try:
        return msgspec.json.decode(_COMMENT.sub(r"\1", text) or "{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise SpawnError(
            f"The settings of Gemini CLI in {path} cannot be read: {error}.", hint="Mend the file."
        ) from None


def _section(found: dict[str, Any], name: str) -> dict[str, Any]:
    section = found.get(name)
    return section if isinstance(section, dict) else {}
