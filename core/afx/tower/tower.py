"""The Tower: the one server process of a state directory. Here everything is wired, in the order of its boot.

Nothing is served before `open` yields: plugins are loaded, storage is open and migrated, and every terminal
that survived is connected again.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio

from afx.api.errors import AfxError
from afx.api.model import AgentId
from afx.api.process import host_id
from afx.api.storage import Storage, StorageContext
from afx.api.strategy import ReconnectStrategy, StrategyContext
from afx.loader import Plugins
from afx.settings import Settings

from .adoption import Adoption
from .agents import Agents, Change
from .attention import Attention
from .capture import Capture
from .conversion import Conversion
from .following import Following
from .harnesses import Harnesses
from .inbox import Inbox
from .lastscreen import LastScreens
from .lifecycle import Lifecycle
from .listeners import Listeners
from .observers import Observers
from .recovery import Recovery
from .revival import Revival
from .starter import Starter
from .strategies import Strategies
from .supervisor import Supervisor
from .survivors import Survivors
from .terminals import Terminals

log = logging.getLogger("afx.tower")


class Tower:
    """A running Tower.

    Attributes:
        home: Its state directory.
        boot: A word that no other run of a Tower has; versions of the state begin with it.
        started_at: When it was opened.
    """

    def __init__(
        self,
        home: Path,
        plugins: Plugins,
        agents: Agents,
        terminals: Terminals,
        survivors: Survivors,
        lifecycle: Lifecycle,
        inbox: Inbox,
        revival: Revival,
        recovery: Recovery,
        adoption: Adoption,
        conversion: Conversion,
        observers: Observers,
        screens: LastScreens,
        settings: Settings,
    ) -> None:
        self.home = home
        self.boot = secrets.token_hex(4)
        self.started_at = time.time()
        self.plugins = plugins
        self.agents = agents
        self.terminals = terminals
        self.survivors = survivors
        self.lifecycle = lifecycle
        self.inbox = inbox
        self.revival = revival
        self.recovery = recovery
        self.adoption = adoption
        self.conversion = conversion
        self.observers = observers
        self.screens = screens
        self.settings = settings

    @property
    def version(self) -> str:
        """The version of the state now: ``BOOT:N``."""
        return f"{self.boot}:{self.agents.version}"

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        home: Path,
        settings_for: Callable[[Path | None], Settings],
        env: Mapping[str, str],
    ) -> AsyncIterator[Tower]:
        """Boot a Tower on a state directory, and let go of all terminals at the end; none of them dies.

        Args:
            home: The state directory, whose lock the caller holds.
            settings_for: Gives the settings of a workspace, or (None) those of no workspace.
            env: The environment that children inherit.

        Raises:
            StorageError: The storage cannot be opened.
            PluginError: The storage that the settings name cannot be had.
        """
        settings = settings_for(None)
        async with AsyncExitStack() as stack:
            plugins = Plugins.load(settings["plugins.disabled"], settings=settings, marks=home / "loading")
            remembered = home / "plugins.json"
            plugins.remember(remembered)
            stack.callback(plugins.remember, remembered)
            name = str(settings["storage.name"])
            storage = plugins.storage(name, StorageContext(home, settings.section(f"storage.{name}")))
            await storage.open()
            stack.push_async_callback(storage.aclose)
            strategies = await _start_strategies(plugins, home, settings, stack)
            tower = cls.over(home, plugins, storage, strategies, settings_for, env)
            yield await stack.enter_async_context(tower)

    @classmethod
    @asynccontextmanager
    async def over(
        cls,
        home: Path,
        plugins: Plugins,
        storage: Storage,
        strategies: Mapping[str, ReconnectStrategy],
        settings_for: Callable[[Path | None], Settings],
        env: Mapping[str, str],
    ) -> AsyncIterator[Tower]:
        """Boot a Tower over what `open` makes of plugins: an open storage, and started strategies."""
        settings = settings_for(None)
        async with AsyncExitStack() as stack:
            agents = Agents(storage, host_id())
            await agents.load()
            tasks = await stack.enter_async_context(anyio.create_task_group())
            listeners = Listeners(tasks)
            following = Following(agents, listeners, tasks)
            asked = Strategies(strategies)
            terminals = Terminals(agents, asked, following, listeners)
            survivors = Survivors(
                agents=agents,
                strategies=asked,
                terminals=terminals,
                following=following,
                listeners=listeners,
                tasks=tasks,
            )
            harnesses = Harnesses(plugins, settings_for)
            inbox = Inbox(agents, terminals, harnesses, tasks)
            starter = Starter(
                home=home,
                agents=agents,
                terminals=terminals,
                harnesses=harnesses,
                settings_for=settings_for,
                env=env,
            )
            revival = Revival(agents=agents, terminals=terminals, starter=starter)
            supervisor = Supervisor(agents, terminals, revival, starter)
            capture = Capture(home, agents, starter)
            screens = LastScreens(home, agents, terminals.connected_of)
            listeners.are(
                running=(supervisor.on_running, inbox.on_running, capture.on_running),
                ended=(screens.keep, supervisor.on_ended),
                ending=screens.keep,
                lost=(supervisor.on_lost,),
                enter=(supervisor.on_enter,),
            )
            lifecycle = Lifecycle(
                agents=agents,
                terminals=terminals,
                harnesses=harnesses,
                revival=revival,
                starter=starter,
                strategies=strategies,
                settings_for=settings_for,
                env=env,
            )
            recovery = Recovery(agents, terminals, revival, tasks)
            adoption = Adoption(agents, survivors, lifecycle, revival)
            conversion = Conversion(agents, terminals, revival, strategies)
            observers = Observers(agents, plugins.emit)
            tower = cls(
                home,
                plugins,
                agents,
                terminals,
                survivors,
                lifecycle,
                inbox,
                revival,
                recovery,
                adoption,
                conversion,
                observers,
                screens,
                settings,
            )
            await survivors.boot(settings["tower.boot_deadline"])
            for part in (supervisor, revival, inbox, capture, screens):
                agents.listen(partial(_forget_removed, agents, part.forget))
            stack.enter_context(observers.telling())
            tasks.start_soon(adoption.run)
            tasks.start_soon(Attention(agents, terminals, starter, capture).run)
            tasks.start_soon(screens.run)
            if settings["recover.at_boot"] == "auto":
                tasks.start_soon(tower._recover)
            try:
                yield tower
            finally:
                with anyio.CancelScope(shield=True):
                    await following.aclose()
                tasks.cancel_scope.cancel()

    async def _recover(self) -> None:
        try:
            await self.recovery.after_boot(
                jobs=self.settings["recover.jobs"],
                max_age_days=self.settings["recover.max_age_days"],
                most_load=self.settings["recover.max_load"],
            )
        except AfxError as error:
            log.error("Lost agents were not brought back: %s", error.message)


def _forget_removed(agents: Agents, forget: Callable[[AgentId], None], change: Change) -> None:
    for agent_id in agents.removed(change.agents):
        forget(agent_id)


async def _start_strategies(
    plugins: Plugins, home: Path, settings: Settings, stack: AsyncExitStack
) -> dict[str, ReconnectStrategy]:
    """Make and start every reconnect strategy that there is; one that fails is left out, and said so."""
    strategies: dict[str, ReconnectStrategy] = {}
    for name in sorted({row.name for row in plugins.rows() if row.kind == "strategy"}):
        directory = home / name
        directory.mkdir(mode=0o700, exist_ok=True)
        try:
            context = StrategyContext(directory, settings.section(f"strategy.{name}"))
            strategy = plugins.strategy(name, context)
            await strategy.start()
        except AfxError as error:
            log.error("The reconnect strategy %s is not available: %s", name, error.message)
            continue
        stack.push_async_callback(strategy.aclose)
        strategies[name] = strategy
    return strategies
