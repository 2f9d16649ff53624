"""Checks what plugins bring with the suites of `afx.testing`, whoever wrote them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .api.errors import BadInputError, NotFoundError
from .loader import Factory, Plugins
from .quarantine import PluginState, normal

if TYPE_CHECKING:
    from .testing.conformance import Outcome

_HARNESS = """
from afx.testing.harness_suite import HarnessSuite, has_session
from {module} import {root}


class Test_harness_{name}(HarnessSuite):
    has_session = has_session({path})

    def harness(self):
        return {path}()
"""
_STORAGE = """
from afx.plugin import StorageContext
from afx.testing.storage_suite import StorageSuite
from {module} import {root}


class Test_storage_{name}(StorageSuite):
    def storage_factory(self, directory):
        return {path}(StorageContext(directory, {{}}))
"""
_STRATEGY = '''
from afx.testing.holder_stage import HolderStage
from afx.testing.strategy_suite import StrategySuite
from {module} import {root}

missing_{name} = sorted(getattr({path}, "__abstractmethods__", ()))


class Test_strategy_{name}_class:
    def test_it_has_every_method(self):
        """The Tower calls each of them."""
        assert not missing_{name}, f"It has no {{', '.join(missing_{name})}}."


if not missing_{name}:

    class Test_strategy_{name}(StrategySuite):
        def stage_factory(self, directory):
            return HolderStage(directory, {path})
'''
_TEXTS = {"harness": _HARNESS, "storage": _STORAGE, "strategy": _STRATEGY}


def check(name: str, marks: Path) -> Outcome:
    """Run the suites on everything that a distribution brings, or on what a plugin brings under one name.

    Args:
        name: A distribution, or else the name of something that a plugin brings.
        marks: The directory for marks of what is being loaded, see `Plugins.load`.

    Raises:
        NotFoundError: Nothing of this name is installed.
        BadInputError: What the suites need is not installed, or there is no suite for what was found.
    """
    tools = ("pytest", "hypothesis", "anyio")
    needed = [tool for tool in tools if importlib.util.find_spec(tool) is None]
    if needed:
        raise BadInputError(
            f"The suites need {' and '.join(needed)}.", hint="Install them: `pip install pytest hypothesis`."
        )
    plugins = Plugins.load(marks=marks)
    rows = plugins.rows()
    wanted = normal(name)
    of_distribution = [row for row in rows if normal(row.distribution) == wanted]
    found = of_distribution or [row for row in rows if row.distribution and normal(row.name) == wanted]
    if not found:
        raise NotFoundError(
            f"No plugin is installed with the distribution or the name {name!r}.",
            hint="`afx plugins` lists the plugins and their distributions.",
        )
    from .testing.conformance import Failure, Outcome, examine

    broken = tuple(
        Failure(
            suite=f"Test_{row.kind}_{_word(row.name)}",
            test="test_it_is_active",
            why=row.hint,
            message=row.error,
        )
        for row in found
        if row.state is not PluginState.ACTIVE
    )
    meant = {(row.kind, row.name, row.distribution) for row in found}
    texts = [
        _text_for(factory)
        for factory in plugins.factories()
        if factory.kind in _TEXTS and (factory.kind, factory.name, factory.distribution) in meant
    ]
    if not texts and not broken:
        raise BadInputError(
            f"{name} brings nothing that there is a suite for.",
            hint="There are suites for harnesses, strategies and storages only.",
        )
    if not texts:
        return Outcome(failures=broken)
    outcome = examine("\n".join(texts))
    return msgspec.structs.replace(outcome, failures=(*broken, *outcome.failures))


def _text_for(factory: Factory) -> str:
    module, _, path = factory.path.partition(":")
    root = path.partition(".")[0]
    return _TEXTS[factory.kind].format(module=module, root=root, path=path, name=_word(factory.name))


def _word(name: str) -> str:
    return name.replace("-", "_")
