"""The suite finds what is wrong with a harness, and says so by a test's name, a reason and a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from afx.api.harness import Place
from afx.testing.conformance import Failure, Outcome, examine
from afx.testing.harness_suite import HarnessSuite

TEXT = Path(__file__).with_name("wrong_harnesses.py").read_text()
CAUGHT_BY = dict(re.findall(r'class (Test\w+)\(Suite\):\n    caught_by = "(\w+)"', TEXT))


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    outcome = examine(TEXT)
    assert not outcome.trouble
    return outcome


def test_there_are_enough_wrong_ones() -> None:
    assert len(CAUGHT_BY) >= 12
    assert len(set(CAUGHT_BY.values())) == len(CAUGHT_BY)


def test_the_right_one_passes(outcome: Outcome) -> None:
    assert outcome.suites["TestRight"] > 30
    assert [failure for failure in outcome.failures if failure.suite == "TestRight"] == []


@pytest.mark.parametrize("suite", CAUGHT_BY)
def test_a_wrong_one_is_caught_by_name(outcome: Outcome, suite: str) -> None:
    caught = {failure.test: failure for failure in outcome.failures if failure.suite == suite}
    assert CAUGHT_BY[suite] in caught
    failure = caught[CAUGHT_BY[suite]]
    assert isinstance(failure, Failure)
    assert failure.why.endswith(".")
    assert failure.message


def test_what_cannot_be_run_is_told() -> None:
    assert "no_such_module" in examine("import no_such_module").trouble
    assert not examine("").ok


def collected(suite: type[HarnessSuite]) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test_") and callable(getattr(suite, name))}


def test_what_a_harness_cannot_have_is_not_even_collected() -> None:
    class Plain(HarnessSuite):
        has_session = False

    class Unrecorded(HarnessSuite):
        pass

    class Recorded(Unrecorded):
        def record(self, place: Place, session_id: str) -> Path:
            return place.cwd / session_id

    of_a_session, of_a_record = "test_a_resume_names_the_conversation", "test_a_torn_transcript_is_no_error"
    assert of_a_session not in collected(Plain)
    assert Plain.not_tested[0].startswith("The harness has no session")
    assert of_a_session in collected(Unrecorded)
    assert of_a_record not in collected(Unrecorded)
    assert Unrecorded.not_tested[0].startswith("`record` is not defined")
    assert of_a_record in collected(Recorded)
    assert Recorded.not_tested == ()
