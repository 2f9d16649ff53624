"""Records and facts can be drawn: each kind, and what is drawn is what its type says."""

from __future__ import annotations

import inspect

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import afx.plugin
from afx.plugin import Agent, Changes, Launched, Place
from afx.testing.strategies import KINDS, records

NOT_DRAWN = {
    "CheckEntry", "DoctorContext", "Entry", "Finding", "HarnessContext", "Spawned", "StorageContext",
    "StrategyContext",
}  # fmt: skip
"""What is made by afx for one moment, holds what lives, or is the base of others."""


def test_every_public_kind_can_be_drawn() -> None:
    public = {
        name
        for name in afx.plugin.__all__
        if inspect.isclass(found := getattr(afx.plugin, name)) and issubclass(found, msgspec.Struct)
    }
    assert public - {kind.__name__ for kind in KINDS} <= NOT_DRAWN


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=10)
@given(data=st.data())
def test_what_is_drawn_is_what_the_type_says(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    drawn = data.draw(records(kind))
    if kind not in {Changes, Launched, Place}:  # Of these there is no way back from JSON.
        assert msgspec.convert(msgspec.to_builtins(drawn), kind) == drawn


@given(records(Agent, host=st.just("here"), name=st.sampled_from(["a", "b"])))
def test_fields_can_be_chosen(agent: Agent) -> None:
    assert (agent.host, agent.name in {"a", "b"}) == ("here", True)
