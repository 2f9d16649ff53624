"""Hypothesis strategies for everything that plugins are given and give back: records, facts, findings.

They are made from the types, so that a new field is drawn from the day it is there. This module needs
hypothesis, and is imported by nothing that does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from afx.api.harness import ExitInfo, Launched, LaunchRequest, Place, Transcript
from afx.api.hookspecs import HarnessEntry, StorageEntry, StrategyEntry, TerminalEvent
from afx.api.model import (
    Agent,
    Command,
    Conversation,
    Exit,
    Message,
    Position,
    Size,
    TerminalRecord,
    TerminalSpec,
    Workspace,
)
from afx.api.process import ProcessIdentity
from afx.api.storage import Changes, Record, Snapshot
from afx.api.strategy import (
    Activity,
    Ended,
    Orphan,
    Reset,
    Resized,
    Respawned,
    Resumed,
    Survival,
    TerminalFacts,
)

Kind = TypeVar("Kind", bound=msgspec.Struct)

KINDS: tuple[type[msgspec.Struct], ...] = (
    Activity, Agent, Changes, Command, Conversation, Ended, Exit, ExitInfo, HarnessEntry, LaunchRequest,
    Launched, Message, Orphan, Place, Position, ProcessIdentity, Reset, Resized, Respawned, Resumed, Size,
    Snapshot, StorageEntry, StrategyEntry, Survival, TerminalEvent, TerminalFacts, TerminalRecord,
    TerminalSpec, Transcript, Workspace,
)  # fmt: skip
"""Every kind of record and fact that `records` is tested with."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any text that can be written as UTF-8."""
TIMES = st.floats(min_value=0, max_value=4e9)
"""Seconds since 1970, for the next hundred years."""
_WHOLE = st.integers(min_value=-(2**63), max_value=2**63 - 1)
OBJECTS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _WHOLE | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
"""Whatever JSON can say."""

_FIELDS: Mapping[type[msgspec.Struct], Mapping[str, st.SearchStrategy[Any]]] = {
    # What the types do not say.
    Exit: {"code": st.none() | st.integers(0, 255), "signal": st.none() | st.integers(1, 64)},
    ProcessIdentity: {"pid": st.integers(1, 2**31 - 1)},
    Position: {"offset": st.integers(0, 2**53)},
    Activity: {"offset": st.integers(0, 2**53)},
    Transcript: {"size": st.integers(0, 2**40)},
    TerminalSpec: {"scrollback": st.integers(0, 2**30)},
    Changes: {"put": st.deferred(lambda: st.lists(_stored(), max_size=_MOST).map(tuple))},
    Place: {
        "cwd": st.just(Path("/work")),
        "env": st.dictionaries(TEXTS, TEXTS, max_size=3),
    },
}
_MOST = 3


def records(kind: type[Kind], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Kind]:
    """Draw records of a kind, such as ``records(Agent, host=st.just("here"))``.

    Args:
        kind: The class, see `KINDS`.
        fields: Strategies for fields that are not to be just anything of their type.
    """
    known = {**_FIELDS.get(kind, {}), **fields}
    left = [field for field in msgspec.structs.fields(kind) if field.name not in known]
    types = inspect.multi_type_info([field.type for field in left])
    drawn = {field.name: _of(type_) for field, type_ in zip(left, types, strict=True)}
    return st.builds(kind, **drawn, **known)


def _stored() -> st.SearchStrategy[Record]:
    return st.one_of(
        records(Workspace), records(Agent), records(Conversation), records(Message), records(TerminalRecord)
    )


def _of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Return a strategy for whatever has a type."""
    match kind:
        case inspect.UnionType(types):
            return st.one_of(*map(_of, types))
        case inspect.EnumType(cls):
            return st.sampled_from(cls)
        case inspect.StructType(cls):
            return records(cls)
        case inspect.IntType():
            return st.integers(
                -(2**63) if kind.ge is None else kind.ge, 2**63 - 1 if kind.le is None else kind.le
            )
        case inspect.ListType(item):
            return st.lists(_of(item), max_size=_MOST)
        case inspect.VarTupleType(item):
            return st.lists(_of(item), max_size=_MOST).map(tuple)
        case inspect.FrozenSetType(item):
            return st.frozensets(_of(item), max_size=_MOST)
        case inspect.DictType(key, value):
            return st.dictionaries(_of(key), _of(value), max_size=_MOST)
    return _SIMPLE[type(kind)]


_SIMPLE: Mapping[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.AnyType: OBJECTS,
    inspect.BoolType: st.booleans(),
    inspect.BytesType: st.binary(max_size=20),
    inspect.FloatType: TIMES,
    inspect.NoneType: st.none(),
    inspect.StrType: TEXTS,
}
