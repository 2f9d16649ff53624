"""The table of all settings there are. Plugins have sections of their own and are not in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Setting(NamedTuple):
    """One thing that can be set.

    Attributes:
        name: Its dotted name: ``tower.port`` is ``port`` under ``[tower]``.
        kind: What its values are, a name in `afx.settings.values.READERS`.
        default: The value where nobody sets it.
        env: The environment variable that sets it.
        meaning: One line about it.
    """

    name: str
    kind: str
    default: Any
    env: str
    meaning: str


SETTINGS: Mapping[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting(
            "tower.port",
            "port",
            4100,
            "AFX_PORT",
            "The port the Tower listens on; 0: the one it had last, or any free one.",
        ),
        Setting(
            "tower.boot_deadline",
            "seconds",
            3.0,
            "AFX_BOOT_DEADLINE",
            "How many seconds the Tower waits for the answers of survivors before it serves.",
        ),
        Setting(
            "terminal.strategy",
            "word",
            "shellper",
            "AFX_STRATEGY",
            "The reconnect strategy of new terminals.",
        ),
        Setting(
            "terminal.strategy_architect",
            "word",
            "",
            "AFX_STRATEGY_ARCHITECT",
            "The same for architects only; empty: as terminal.strategy.",
        ),
        Setting(
            "terminal.strategy_builder",
            "word",
            "",
            "AFX_STRATEGY_BUILDER",
            "The same for builders only; empty: as terminal.strategy.",
        ),
        Setting(
            "terminal.strategy_shell",
            "word",
            "",
            "AFX_STRATEGY_SHELL",
            "The same for shells only; empty: as terminal.strategy.",
        ),
        Setting(
            "terminal.scrollback",
            "size",
            4 * 2**20,
            "AFX_SCROLLBACK",
            'How much of a terminal\'s last output its holder keeps, in bytes or as "4MiB".',
        ),
        Setting(
            "agent.harness",
            "word",
            "",
            "AFX_HARNESS",
            "The harness of new agents; empty: the first whose program is installed.",
        ),
        Setting(
            "agent.allow_unattended",
            "switch",
            True,
            "AFX_ALLOW_UNATTENDED",
            "Whether agents may be started with arguments that let them act without asking.",
        ),
        Setting(
            "recover.at_boot",
            "asking",
            "ask",
            "AFX_RECOVER_AT_BOOT",
            'Whether the Tower brings lost agents back when it starts ("auto"), or a person does ("ask").',
        ),
        Setting(
            "recover.max_age_days",
            "days",
            14.0,
            "AFX_RECOVER_MAX_AGE_DAYS",
            "After how many days without a sign of life an agent is stale, and not recovered by itself.",
        ),
        Setting(
            "recover.jobs",
            "count",
            4,
            "AFX_RECOVER_JOBS",
            "How many agents are brought back at the same time.",
        ),
        Setting(
            "recover.max_load",
            "ratio",
            2.0,
            "AFX_RECOVER_MAX_LOAD",
            "How high the load may be, for each processor, for another agent to be brought back at boot.",
        ),
        Setting(
            "architect.role",
            "path",
            "",
            "AFX_ARCHITECT_ROLE",
            "A file with the role that architects are given; empty: the built-in one.",
        ),
        Setting(
            "builder.role",
            "path",
            "",
            "AFX_BUILDER_ROLE",
            "A file with the role that builders are given; empty: the built-in one.",
        ),
        Setting(
            "builder.directory",
            "text",
            ".builders",
            "AFX_BUILDER_DIRECTORY",
            "Where builders' worktrees are made, relative to the workspace.",
        ),
        Setting(
            "builder.branch_prefix",
            "text",
            "builder/",
            "AFX_BUILDER_BRANCH_PREFIX",
            "What stands before a builder's name in the name of its branch.",
        ),
        Setting(
            "attach.detach_key",
            "keys",
            "ctrl-\\ ctrl-\\",
            "AFX_DETACH_KEY",
            "One or two keys that leave `afx attach`; of two, the second within half a second.",
        ),
        Setting(
            "plugins.disabled",
            "names",
            [],
            "AFX_DISABLED_PLUGINS",
            "Plugins that are not loaded, by entry point, name or distribution.",
        ),
        Setting("storage.name", "word", "sqlite", "AFX_STORAGE", "The storage that keeps the Tower's state."),
    )
}
"""Every setting there is, by name, in the order in which they are shown."""
