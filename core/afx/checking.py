"""Checks what a distribution brings with the suites of `afx.testing`, whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .api.errors import BadInputError, NotFoundError
from .discovery import origin_of
from .loader import Plugins
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


def check_distribution(distribution: str) -> Outcome:
    """Run the suites on everything that a distribution brings.

    Raises:
        NotFoundError: It is not installed, or brings nothing.
        BadInputError: What the suites need is not installed, or there is no suite for what it brings.
    """
    import importlib.metadata

    needed = [name for name in ("pytest", "hypothesis", "anyio") if importlib.util.find_spec(name) is None]
    if needed:
        raise BadInputError(
            f"The suites need {' and '.join(needed)}.", hint="Install them: `pip install pytest hypothesis`."
        )
    points = [
        point
        for point in importlib.metadata.entry_points(group="afx")
        if normal(origin_of(point).distribution) == normal(distribution)
    ]
    if not points:
        raise NotFoundError(
            f"No plugin is installed with the distribution {distribution!r}.",
            hint="`afx plugins` lists the plugins and their distributions.",
        )
    from .testing.conformance import Failure, Outcome, examine

    plugins = Plugins.load((), points)
    broken = tuple(
        Failure(suite=f"{row.kind}_{row.name}", test="test_it_is_active", why=row.hint, message=row.error)
        for row in plugins.rows()
        if row.state is not PluginState.ACTIVE
    )
    texts = []
    for kind, name, factory in plugins.factories():
        if kind in _TEXTS:
            module, _, path = factory.partition(":")
            root = path.partition(".")[0]
            texts.append(
                _TEXTS[kind].format(module=module, root=root, path=path, name=name.replace("-", "_"))
            )
    if not texts and not broken:
        raise BadInputError(
            f"{distribution} brings nothing that there is a suite for.",
            hint="There are suites for harnesses, strategies and storages only.",
        )
    if not texts:
        return Outcome(failures=broken)
    found = examine("\n".join(texts))
    return Outcome(
        passed=found.passed, skipped=found.skipped, failures=(*broken, *found.failures), trouble=found.trouble
    )
