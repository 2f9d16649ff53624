"""Plugins of tests, as text, and what the loader makes of them."""

from __future__ import annotations

from collections.abc import Callable

from afx.loader import Plugins
from afx.quarantine import PluginInfo

Install = Callable[..., None]

HARNESS = """
    from afx.plugin import Command, HarnessProvider

    class {cls}(HarnessProvider):
        name = "{name}"
        commands = ("{name}",)

        def launch(self, request):
            return Command(argv=("{name}",), env={{}}, cwd="/")
"""


def provider(name: str = "foo", cls: str = "") -> str:
    """Return the text of a module with the class of a harness, which is called like it but capitalized."""
    return HARNESS.format(name=name, cls=cls or name.capitalize())


def plugin(entries: str, hook: str = "afx_harnesses") -> str:
    return f"""
    '''A plugin of a test.

    More about it.
    '''
    from afx.plugin import HarnessEntry, StorageEntry, StrategyEntry, hookimpl

    @hookimpl
    def {hook}():
        return {entries}
    """


def entry(name: str = "foo", factory: str = "foo_provider:Foo", api_version: object = 1) -> str:
    return (
        f"HarnessEntry(name={name!r}, summary='The {name} agent.', factory={factory!r}, "
        f"api_version={api_version!r}, commands=({name!r},))"
    )


def load(*disabled: str) -> Plugins:
    """Load what is installed, without the built-in plugins."""
    return Plugins.load(["afx", *disabled])


def rows(plugins: Plugins) -> list[PluginInfo]:
    return [row for row in plugins.rows() if row.distribution != "afx"]


def only(plugins: Plugins) -> PluginInfo:
    (row,) = rows(plugins)
    return row
