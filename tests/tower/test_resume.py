"""The resume chain: rows of facts with the plan in words, and what holds for all facts there can be."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from afx.api.harness import Evidence, Rung
from afx.api.model import ConversationSource
from afx.tower.resume import (
    Action,
    Confidence,
    Facts,
    FoundTranscript,
    Presence,
    ResumePlan,
    StoredConversation,
    plan,
)

ALL = (Rung.STORED, Rung.DISCOVERED, Rung.FRESH)


def stored(
    id_: str, evidence: str = "found", held_by: str = "", harness: str = "claude"
) -> StoredConversation:
    return StoredConversation(
        id=id_,
        harness=harness,
        source=ConversationSource.MINTED,
        evidence=Evidence(evidence),
        held_by=held_by,
    )


def found(id_: str, held_by: str = "") -> FoundTranscript:
    return FoundTranscript(id=id_, modified_at=1.0, held_by=held_by)


def facts(**changes: Any) -> Facts:
    return msgspec.structs.replace(Facts(harness="claude", chain=ALL, alone=True), **changes)


def a_shell(**changes: Any) -> Facts:
    return facts(harness=None, chain=(), **changes)


def in_words(made: ResumePlan) -> str:
    """The plan as a line: what is done, and what became of each rung on the way."""
    done = made.action.value
    if made.session_id is not None:
        done += f" {made.session_id}"
    if made.rung is not None:
        done += f" ({made.rung.value}, {made.confidence.value})"
    return done


ROWS: list[tuple[str, Facts, str, str]] = [
    # what the row is about, facts, plan in words, what the reason says
    ("a live terminal", facts(presence=Presence.LIVE, stored=(stored("A"),)), "attach", "runs"),
    ("live, and an id is asked for", facts(presence=Presence.LIVE, wanted="B"), "attach", "runs"),
    ("live, and a new one is asked for", facts(presence=Presence.LIVE, only_fresh=True), "attach", "runs"),
    (
        "live, and its directory is gone",
        facts(presence=Presence.LIVE, directory_is_there=False),
        "attach",
        "run",
    ),
    ("live, and its program was removed", facts(presence=Presence.LIVE, trouble="No."), "attach", "runs"),
    ("a live shell", a_shell(presence=Presence.LIVE), "attach", "runs"),
    (
        "an unreachable terminal",
        facts(presence=Presence.UNREACHABLE, stored=(stored("A"),)),
        "wait",
        "may live",
    ),
    (
        "unreachable, new one asked for",
        facts(presence=Presence.UNREACHABLE, only_fresh=True),
        "wait",
        "may live",
    ),
    ("an unreachable shell", a_shell(presence=Presence.UNREACHABLE), "wait", "may live"),
    ("its directory is gone", facts(directory_is_there=False, stored=(stored("A"),)), "refuse", "directory"),
    (
        "its program is not installed",
        facts(trouble="No claude.", stored=(stored("A"),)),
        "refuse",
        "No claude.",
    ),
    ("stored and found", facts(stored=(stored("A"),)), "resume A (stored, certain)", "newest stored"),
    (
        "its program ended",
        facts(presence=Presence.ENDED, stored=(stored("A"),)),
        "resume A (stored, certain)",
        "is",
    ),
    (
        "stored, unknown",
        facts(stored=(stored("A", "unknown"),)),
        "resume A (stored, likely)",
        "nothing speaks",
    ),
    ("two stored", facts(stored=(stored("B"), stored("A"))), "resume B (stored, certain)", "newest stored"),
    (
        "newest reserved but never begun, lesson 19",
        facts(stored=(stored("B", "missing"), stored("A"))),
        "resume A (stored, certain)",
        "newest stored",
    ),
    (
        "newest unknown, older found",
        facts(stored=(stored("B", "unknown"), stored("A"))),
        "resume B (stored, likely)",
        "nothing speaks",
    ),
    (
        "stored beats a newer transcript, lesson 17",
        facts(stored=(stored("A"),), found=(found("STRAY"),)),
        "resume A (stored, certain)",
        "newest stored",
    ),
    (
        "stored beats it even when unknown, lesson 17",
        facts(stored=(stored("A", "unknown"),), found=(found("STRAY"),)),
        "resume A (stored, likely)",
        "nothing speaks",
    ),
    (
        "stored is missing, one was found",
        facts(stored=(stored("A", "missing"),), found=(found("F"),)),
        "resume F (discovered, likely)",
        "no other agent",
    ),
    (
        "nothing stored, one found",
        facts(found=(found("F"),)),
        "resume F (discovered, likely)",
        "newest transcript",
    ),
    (
        "two found",
        facts(found=(found("G"), found("F"))),
        "resume G (discovered, likely)",
        "newest transcript",
    ),
    (
        "the newest found is somebody's, lesson 16",
        facts(found=(found("G", "builder/x"), found("F"))),
        "resume F (discovered, likely)",
        "newest transcript",
    ),
    (
        "all found are somebody's",
        facts(found=(found("G", "builder/x"),)),
        "begin (fresh, none)",
        "can always",
    ),
    (
        "found in a shared directory, lesson 16",
        facts(alone=False, found=(found("F"),)),
        "begin (fresh, none)",
        "new",
    ),
    (
        "shared directory, stored id counts",
        facts(alone=False, stored=(stored("A"),), found=(found("F"),)),
        "resume A (stored, certain)",
        "newest stored",
    ),
    (
        "shared directory, stored id missing",
        facts(alone=False, stored=(stored("A", "missing"),), found=(found("F"),)),
        "begin (fresh, none)",
        "can always",
    ),
    ("nothing at all", facts(), "begin (fresh, none)", "can always"),
    (
        "stored id is open elsewhere, lesson 20",
        facts(stored=(stored("A", held_by="pid 7"),)),
        "begin (fresh, none)",
        "can always",
    ),
    (
        "stored id is open elsewhere, an older is free, lesson 20",
        facts(stored=(stored("B", held_by="pid 7"), stored("A"))),
        "resume A (stored, certain)",
        "newest stored",
    ),
    (
        "stored id of another harness, lesson 21",
        facts(stored=(stored("A", harness="codex"),)),
        "begin (fresh, none)",
        "can always",
    ),
    (
        "an older id of the right harness, lesson 21",
        facts(stored=(stored("B", harness="codex"), stored("A"))),
        "resume A (stored, certain)",
        "newest stored",
    ),
    ("a shell", a_shell(), "begin (fresh, none)", "no conversation;"),
    ("a shell with ids of a former life", a_shell(stored=(stored("A"),)), "begin (fresh, none)", "no conv"),
    ("a shell is asked for an id", a_shell(wanted="A"), "refuse", "no conversations"),
    (
        "a harness without sessions",
        facts(chain=(), stored=(stored("A"),)),
        "begin (fresh, none)",
        "claude has no",
    ),
    ("a harness without sessions and an id", facts(chain=(), wanted="A"), "refuse", "claude has no"),
    (
        "an id is asked for",
        facts(stored=(stored("B"), stored("A")), wanted="A"),
        "resume A (stored, certain)",
        "person",
    ),
    ("what is no id", facts(stored=(stored("B"),), wanted="N"), "refuse", "'N' is no id of a conversation"),
    (
        "an id that may be",
        facts(stored=(stored("A", "unknown"),), wanted="A"),
        "resume A (stored, likely)",
        "person",
    ),
    (
        "an id without transcript",
        facts(stored=(stored("A", "missing"),), wanted="A"),
        "refuse",
        "no transcript",
    ),
    (
        "an id that is open elsewhere",
        facts(stored=(stored("A", held_by="pid 7"),), wanted="A"),
        "refuse",
        "pid 7",
    ),
    (
        "an id of another harness",
        facts(stored=(stored("A", harness="x"),), wanted="A"),
        "refuse",
        "of x, not of",
    ),
    (
        "a new one is asked for",
        facts(stored=(stored("A"),), only_fresh=True),
        "begin (fresh, none)",
        "can always",
    ),
    (
        "both asked for: new wins",
        facts(stored=(stored("A"),), only_fresh=True, wanted="A"),
        "begin (fresh, none)",
        "n",
    ),
    (
        "the stored rung failed, lesson 27",
        facts(stored=(stored("A"),), found=(found("F"),), failed=frozenset({Rung.STORED})),
        "resume F (discovered, likely)",
        "newest transcript",
    ),
    (
        "two rungs failed, lesson 27",
        facts(stored=(stored("A"),), found=(found("F"),), failed=frozenset({Rung.STORED, Rung.DISCOVERED})),
        "begin (fresh, none)",
        "can always",
    ),
    (
        "all rungs failed, lesson 27",
        facts(stored=(stored("A"),), failed=frozenset(ALL)),
        "refuse",
        "has failed",
    ),
    ("a shell that fails, lesson 27", a_shell(failed=frozenset({Rung.FRESH})), "refuse", "has failed"),
    (
        "a harness that never looks around",
        facts(chain=(Rung.STORED, Rung.FRESH), found=(found("F"),)),
        "begin (fresh, none)",
        "can always",
    ),
    (
        "a harness that never begins anew",
        facts(chain=(Rung.STORED,), stored=(stored("A", "missing"),)),
        "refuse",
        "has failed",
    ),
    (
        "a harness that looks around first",
        facts(chain=(Rung.DISCOVERED, Rung.STORED), stored=(stored("A"),), found=(found("F"),)),
        "resume F (discovered, likely)",
        "newest transcript",
    ),
]


@pytest.mark.parametrize(("given_facts", "words", "why"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_plan(given_facts: Facts, words: str, why: str) -> None:
    made = plan(given_facts)
    assert in_words(made) == words
    assert why in made.why


def test_every_rung_passed_over_says_why() -> None:
    made = plan(
        facts(
            alone=False,
            stored=(stored("C", "missing"), stored("B", held_by="builder/x"), stored("A", harness="codex")),
        )
    )
    assert [(step.rung.value, step.session_id, step.chosen, step.why) for step in made.steps] == [
        ("stored", "C", False, "There is no transcript of it that could be resumed."),
        ("stored", "B", False, "It is open in builder/x."),
        ("stored", "A", False, "It is a conversation of codex, not of claude."),
        (
            "discovered",
            None,
            False,
            "It does not have its directory to itself, so a transcript there may be somebody else's.",
        ),
        ("fresh", None, True, "A new conversation can always begin."),
    ]


IDS = st.sampled_from(["A", "B", "C", "D"])
HOLDERS = st.sampled_from(["", "", "pid 7", "builder/x"])
ANY_FACTS = partial(
    st.builds,
    Facts,
    presence=st.sampled_from(Presence),
    directory_is_there=st.booleans(),
    harness=st.sampled_from(["claude", "codex", None]),
    trouble=st.sampled_from(["", "", "It is not installed."]),
    chain=st.sampled_from([ALL, ALL, (), (Rung.FRESH,), (Rung.STORED,), (Rung.DISCOVERED, Rung.STORED)]),
    alone=st.booleans(),
    stored=st.lists(
        st.builds(
            StoredConversation,
            id=IDS,
            harness=st.sampled_from(["claude", "codex"]),
            source=st.sampled_from(ConversationSource),
            evidence=st.sampled_from(Evidence),
            held_by=HOLDERS,
        ),
        unique_by=lambda one: one.id,
        max_size=4,
    ).map(tuple),
    found=st.lists(
        st.builds(FoundTranscript, id=IDS, modified_at=st.floats(0, 9), held_by=HOLDERS), max_size=3
    ).map(tuple),
    wanted=st.none() | IDS,
    only_fresh=st.booleans(),
    failed=st.frozensets(st.sampled_from(Rung)),
)
NOTHING_FORBIDS = partial(
    ANY_FACTS, presence=st.just(Presence.NONE), directory_is_there=st.just(True), trouble=st.just("")
)
"""Of any facts few let a program be started at all."""
A_CONVERSATION_IS_WANTED = partial(
    NOTHING_FORBIDS,
    harness=st.just("claude"),
    chain=st.sampled_from([ALL, (Rung.DISCOVERED, Rung.STORED)]),
    only_fresh=st.just(False),
    failed=st.sampled_from([frozenset(), frozenset({Rung.STORED})]),
)
"""And of these few let one be resumed."""


@settings(max_examples=500)
@given(
    ANY_FACTS()
    | NOTHING_FORBIDS()
    | A_CONVERSATION_IS_WANTED(wanted=st.none(), alone=st.just(True))
    | A_CONVERSATION_IS_WANTED(wanted=IDS)
)
def test_what_always_holds(given_facts: Facts) -> None:
    made = plan(given_facts)
    starts = made.action in {Action.RESUME, Action.BEGIN}
    assert made.why.endswith(".")
    if given_facts.presence is Presence.LIVE:
        assert made.action is Action.ATTACH, "live means attach"
    if given_facts.presence is Presence.UNREACHABLE:
        assert made.action is Action.WAIT, "doubt starts nothing"
    assert (made.session_id is not None) == (made.action is Action.RESUME)
    assert sum(step.chosen for step in made.steps) == int(starts)
    if starts:
        assert given_facts.directory_is_there
        assert not given_facts.trouble
    if made.action is Action.RESUME:
        assert given_facts.chain, "a harness without sessions gets no flag"
        assert given_facts.harness is not None
        assert made.session_id is not None
        assert not given_facts.only_fresh
        known = {one.id: one for one in given_facts.stored}
        if made.rung is Rung.DISCOVERED:
            assert given_facts.alone, "a shared directory is never searched"
            assert any(one.id == made.session_id and not one.held_by for one in given_facts.found)
        else:
            chosen = known[made.session_id]
            assert not chosen.held_by, "one holder for a conversation"
            assert chosen.harness == given_facts.harness, "flags of one harness never reach another"
            assert chosen.evidence is not Evidence.MISSING
        if given_facts.wanted is None:
            assert made.rung not in given_facts.failed
        else:
            assert made.session_id == given_facts.wanted, "what was asked for, or nothing"
    if made.confidence is Confidence.CERTAIN and made.action is Action.RESUME:
        assert made.rung is Rung.STORED


@given(
    NOTHING_FORBIDS(
        harness=st.just("claude"),
        chain=st.sampled_from([ALL, (Rung.STORED,), (Rung.STORED, Rung.FRESH)]),
        wanted=st.none(),
        only_fresh=st.just(False),
        failed=st.frozensets(st.sampled_from([Rung.DISCOVERED, Rung.FRESH])),
    )
)
def test_no_id_is_passed_over_in_silence(given_facts: Facts) -> None:
    """Whatever newer id is not taken has a step that says why."""
    made = plan(given_facts)
    ids: list[str | None] = [one.id for one in given_facts.stored]
    if made.rung is Rung.STORED:
        ids = ids[: ids.index(made.session_id) + 1]
    assert [step.session_id for step in made.steps if step.rung is Rung.STORED] == (ids or [None])


@given(NOTHING_FORBIDS())
def test_every_rung_is_told_of(given_facts: Facts) -> None:
    """Whatever is chosen on the way down the chain, what would have come below it is said not to be asked."""
    made = plan(given_facts)
    assume(made.action in {Action.RESUME, Action.BEGIN})
    chain = given_facts.chain if given_facts.harness is not None else ()
    assert {step.rung for step in made.steps} >= set(chain or (Rung.FRESH,))
    place = next(number for number, step in enumerate(made.steps) if step.chosen)
    assert [step.asked for step in made.steps] == [number <= place for number in range(len(made.steps))]


@given(ANY_FACTS() | NOTHING_FORBIDS())
def test_the_same_facts_give_the_same_plan(given_facts: Facts) -> None:
    assert plan(given_facts) == plan(given_facts)
    assert msgspec.json.decode(msgspec.json.encode(plan(given_facts)), type=ResumePlan) == plan(given_facts)
