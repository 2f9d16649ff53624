"""The suite finds what is wrong with a harness, and says so by a test's name, a reason and a sentence."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import ClassVar

from afx.api.harness import Place
from afx.testing.conformance import examine
from afx.testing.harness_suite import HarnessSuite
from testing import wrong_harnesses
from testing.catching import SuiteTests, caught_by


class TestHarnessSuite(SuiteTests):
    module: ClassVar[ModuleType] = wrong_harnesses
    least = 31

    def test_there_are_enough_wrong_ones_no_two_caught_by_one_test(self) -> None:
        tests = caught_by(wrong_harnesses).values()
        assert len(tests) >= 12
        assert len(set(tests)) == len(tests)


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
