"""Which checks there are: the core's own, and those that plugins bring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from afx.api.doctor import DoctorContext, Finding
from afx.api.errors import AfxError, BadInputError
from afx.client.http import TowerClient, TowerDownError
from afx.differing import TowerPlugins
from afx.installed import installed
from afx.loader import Plugins
from afx.quarantine import PluginInfo, earlier, recall
from afx.settings import Settings

from .installation import (
    STRATEGIES,
    check_harnesses,
    check_home,
    judge_absence,
    judge_names,
    judge_plugins,
    judge_silence,
    judge_tower,
)
from .machine import check_clock, check_git, check_limits, check_python, check_space
from .run import Check, Diagnosis, run_checks
from .staying import check_staying

_ANSWER_WITHIN = 5.0
_MACHINE: Mapping[str, Callable[[DoctorContext], Iterable[Finding]]] = {
    "python": check_python,
    "git": check_git,
    "limits": check_limits,
    "space": check_space,
    "clock": check_clock,
    "logout": check_staying,
    "home": check_home,
}


def examine(home: Path, workspace: Path | None, env: Mapping[str, str]) -> list[Diagnosis]:
    """Run every check there is and return what each found.

    Args:
        home: The state directory.
        workspace: The workspace whose settings count; None where there is none.
        env: The environment.
    """
    tower, state = _ask_tower(home)
    told, settings = _settings(workspace, env)
    named = () if settings is None else (str(settings[name]) for name in STRATEGIES)
    context = DoctorContext(
        home=home,
        env=env,
        terminals=None if state is None else _terminals(state),
        strategies=frozenset(filter(None, named)),
    )
    plugins = Plugins.load(
        () if settings is None else settings["plugins.disabled"], settings=settings, marks=home / "loading"
    )
    # Made here, in one thread; what cannot be made shows up among the plugins.
    harnesses, brought = plugins.harnesses(), plugins.doctor_checks()
    rows = plugins.rows()
    if settings is not None:
        told += judge_names(settings, rows)
    checks = [Check(name, partial(check, context)) for name, check in _MACHINE.items()]
    checks += [
        Check("settings", partial(iter, told)),
        Check("tower", partial(iter, tower)),
        Check("plugins", partial(_plugins, rows, home)),
        Check("harnesses", partial(check_harnesses, harnesses, env)),
        *(Check(check.name, partial(check.examine, context)) for check in brought),
    ]
    return run_checks(checks)


def _ask_tower(home: Path) -> tuple[list[Finding], Mapping[str, Any] | None]:
    try:
        state = TowerClient.connect(home, timeout=_ANSWER_WITHIN).state()
    except TowerDownError:
        return [judge_absence(home)], None
    except AfxError as error:
        return [judge_silence(home, error)], None
    found = list(judge_tower(state, installed()))
    if not (home / "tower.lock").exists():
        found.append(
            Finding.warning(
                f"{home / 'tower.lock'} was deleted under the running Tower.",
                "It says which process the Tower is. No second Tower starts all the same.",
                "afx tower restart",
            )
        )
    return found, state


def _plugins(rows: Sequence[PluginInfo], home: Path) -> Iterator[Finding]:
    """Judge what is installed, beside what a running Tower goes by."""
    try:
        in_tower = TowerPlugins.of(TowerClient.connect(home, timeout=_ANSWER_WITHIN).get("/api/plugins"))
    except AfxError:
        in_tower = None  # Whether a Tower runs, and why it does not answer, is another check's.
    seen = earlier(rows, recall(home / "plugins.json"))
    yield from judge_plugins(seen if in_tower is None else in_tower.warned(seen), in_tower)


def _terminals(state: Mapping[str, Any]) -> frozenset[str]:
    def ids() -> Iterator[str]:
        for workspace in state["workspaces"]:
            for agent in workspace["agents"]:
                if agent["terminal"] is not None:
                    yield agent["terminal"]["id"]
        for orphan in state["orphans"]:
            yield orphan["terminal_id"]

    return frozenset(ids())


def _settings(workspace: Path | None, env: Mapping[str, str]) -> tuple[list[Finding], Settings | None]:
    try:
        settings = Settings.load(workspace, env=env)
    except BadInputError as error:
        # No command: `afx config` could only say the same, and what is wrong stands in the sentence.
        return [
            Finding.error(error.message, f"No command that needs the settings works. {error.hint}".strip())
        ], None
    return [Finding.ok("The settings can be read.")], settings
