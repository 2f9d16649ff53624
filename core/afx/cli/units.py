"""What service managers are told about the Tower: a systemd user unit, and a launchd agent.

Both start the Tower at login, and both leave everything but the Tower alone when it ends: holders and agents
are its descendants, and a service manager left to itself would kill them too.
"""

from __future__ import annotations

import plistlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Service(NamedTuple):
    """A Tower as a service.

    Attributes:
        name: Under which the service manager knows it.
        command: What runs the Tower.
        env: What it needs in its environment.
        log: A file for what is said before the Tower's own log is open.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: str


def systemd_unit(service: Service) -> str:
    """Return the text of a systemd user unit.

    Raises:
        ValueError: A value has a line break or another control character in it.
    """
    lines = [
        "[Unit]",
        "Description=The afx Tower, which keeps coding agents alive",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(_quoted(word).replace('$', '$$') for word in service.command)}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in sorted(service.env.items())),
        "# The Tower alone is stopped and restarted. Its terminals live on, and are found again.",
        "KillMode=process",
        "# An agent that is killed for want of memory must not take the Tower with it.",
        "OOMPolicy=continue",
        "# All agents and what they run are counted as this unit's.",
        "TasksMax=infinity",
        "Restart=on-failure",
        "RestartSec=2",
        "# Bad input, such as a setting that cannot be used, does not mend itself.",
        "RestartPreventExitStatus=2",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def launchd_agent(service: Service) -> bytes:
    """Return the property list of a launchd agent."""
    return plistlib.dumps(
        {
            "Label": service.name,
            "ProgramArguments": list(service.command),
            "EnvironmentVariables": dict(service.env),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            # Without this everything that the Tower has started ends with it.
            "AbandonProcessGroup": True,
            "ProcessType": "Interactive",
            "StandardOutPath": service.log,
            "StandardErrorPath": service.log,
        },
        sort_keys=False,
    )


def _quoted(word: str) -> str:
    """Return a word as systemd reads it back: quoted, with its specifiers and escapes escaped."""
    if not word.isprintable():
        raise ValueError(word)
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"'
