"""Checks that plugins bring for the doctor."""

from __future__ import annotations

import sys
from pathlib import Path

from afx.api.doctor import DoctorContext, Finding
from afx.quarantine import PluginState
from loader.plugins import Install, load, only

CHECK = """
    from afx.plugin import DoctorCheck, Finding

    class Foo(DoctorCheck):
        name = "foo"

        def examine(self, context):
            return [Finding.ok(f"Nothing in {context.home}.")]
"""


def check_plugin(factory: str) -> str:
    return f"""
    from afx.plugin import CheckEntry, hookimpl

    @hookimpl
    def afx_doctor_checks():
        return [CheckEntry(name="foo", summary="Looks at Foo.", factory={factory!r}, api_version=1)]
    """


def test_a_plugin_brings_checks_for_the_doctor(install: Install) -> None:
    install("foo", check_plugin("foo_check:Foo"), foo_check=CHECK)
    plugins = load()
    assert only(plugins).kind == "check"
    assert "foo_check" not in sys.modules
    (check,) = plugins.doctor_checks()
    (finding,) = check.examine(DoctorContext(home=Path("/h"), env={}))
    assert finding == Finding.ok("Nothing in /h.")


def test_a_check_that_cannot_be_made_is_broken_and_left_out(install: Install) -> None:
    install("foo", check_plugin("foo_check:Gone"), foo_check=CHECK)
    plugins = load()
    assert plugins.doctor_checks() == []
    assert only(plugins).state is PluginState.BROKEN
