"""One-line sabotages of afx, each with the test that catches it.

A sabotage is text that stands exactly once in a file, and what is put in its place. It is kept as that, and
not as a diff, so that a change elsewhere in the file does not spoil it.
"""

from __future__ import annotations

from typing import NamedTuple


class Sabotage(NamedTuple):
    """A way to break afx.

    Attributes:
        name: What is broken.
        file: Where.
        old: What stands there.
        new: What is put there.
        caught_by: The test that must fail.
        quick: Whether it is tried in every run of the tests.
        needs_root: Whether the test that catches it needs root.
    """

    name: str
    file: str
    old: str
    new: str
    caught_by: str
    quick: bool = False
    needs_root: bool = False


_SURVIVAL = "tests/e2e/test_survival.py"
_STRANGERS = "tests/security/test_strangers.py"
_RESCUE = "tests/plugins/storage_sqlite/test_rescue.py"

SABOTAGES = (
    Sabotage(
        "the start time of a process is not compared",
        "core/afx/api/process.py",
        "return identify(identity.pid) == identity",
        "return identify(identity.pid) is not None",
        f"{_SURVIVAL}::test_pid_reuse_is_not_survival_lesson_01",
    ),
    Sabotage(
        "a holder that does not answer in time is taken for dead",
        "core/afx/tower/reconcile.py",
        'return Wait(record, survival.reason or "Its holder does not answer.")',
        "return Prune(record, survival.reason)",
        "tests/tower/test_reconcile.py::test_only_proof_prunes_and_nobody_has_two_terminals",
        quick=True,
    ),
    Sabotage(
        "a replay begins inside an escape sequence",
        "core/afx_holding/safe_cut.py",
        "return None if ending.search(buffer, last + 2, at) else (begin, opening)",
        "return None",
        "tests/holding/test_screen.py::test_cut_is_never_inside_a_sequence_or_a_character_lesson_32",
        quick=True,
    ),
    Sabotage(
        "what is stored need not have reached the disk",
        "plugins/storage_sqlite/afx_storage_sqlite/database.py",
        '    connection.execute("PRAGMA synchronous = FULL")\n    # On macOS',
        '    connection.execute("PRAGMA synchronous = OFF")\n    # On macOS',
        f"{_RESCUE}::test_what_is_stored_has_reached_the_disk",
        quick=True,
    ),
    Sabotage(
        "the Tower listens before it has reconnected",
        "core/afx/tower/tower.py",
        'await tower.survivors.boot(tower.settings["tower.boot_deadline"])',
        'tasks.start_soon(tower.survivors.boot, tower.settings["tower.boot_deadline"])',
        "tests/chaos/test_disasters.py::test_nothing_is_served_before_every_holder_was_asked_lesson_10",
    ),
    Sabotage(
        "an onlooker that is too slow misses output without a word",
        "core/afx_holding/clients.py",
        "self._begin_anew(ring, min(_LAPPED_TAIL, ring.limit // 2))",
        "self.position = ring.start",
        "tests/plugins/reconnect_shellper/test_output.py"
        "::test_slow_reader_is_told_to_begin_anew_and_fast_one_has_all_lesson_31",
    ),
    Sabotage(
        "any Host will do",
        "core/afx/server/auth.py",
        "return host is not None and host.lower() in self._hosts",
        "return host is not None",
        f"{_STRANGERS}::test_a_rebound_name_and_a_foreign_page_get_nothing_lesson_45",
    ),
    Sabotage(
        "any page may ask",
        "core/afx/server/auth.py",
        'return origin is None or origin.lower() in {f"http://{host}" for host in self._hosts}',
        "return True",
        f"{_STRANGERS}::test_a_form_of_another_page_changes_nothing",
    ),
    Sabotage(
        "the sign-in's code can be used twice",
        "core/afx/server/auth.py",
        "if good is None or self._codes.pop(good) < time.monotonic():",
        "if good is None or self._codes[good] < time.monotonic():",
        "tests/server/test_auth.py::test_a_code_is_good_once_and_not_for_long",
    ),
    Sabotage(
        "a holder talks to every user",
        "core/afx_holding/peer.py",
        "return _peer_uid(connection) == os.geteuid()",
        "return True",
        "tests/security/test_other_users.py::test_a_foreign_user_gets_nothing_from_a_holder",
        needs_root=True,
    ),
    Sabotage(
        "symlinks in the state directory are followed",
        "core/afx/server/home.py",
        "return entry.is_symlink() or entry.stat(follow_symlinks=False).st_uid != os.geteuid()",
        "return False",
        "tests/security/test_other_users.py::test_a_tower_does_not_start_on_planted_symlinks",
    ),
    Sabotage(
        "silent connections are kept for ever",
        "core/afx/server/patience.py",
        "if len(self.waiting) > MOST_WAITING:",
        "if len(self.waiting) < 0:",
        "tests/security/test_exhaustion.py::test_ten_thousand_that_say_nothing_keep_nobody_out",
    ),
    Sabotage(
        "one agent is started by two at the same time",
        "core/afx/tower/revival.py",
        "async with self._locks.setdefault(agent_id, anyio.Lock()), self._agents.claimed(agent_id):",
        "async with self._agents.claimed(agent_id):",
        "tests/testing/test_tower_model.py::test_the_tower_keeps_its_promises",
    ),
    Sabotage(
        "a transcript of a shared directory is taken for one's own",
        "core/afx/tower/resume.py",
        "    if not facts.alone:",
        "    if facts.alone is None:",
        "tests/tower/test_resume.py",
    ),
    Sabotage(
        "a program that always crashes is started for ever",
        "core/afx/tower/supervisor.py",
        "if ran_for >= FAST and kind is not ExitKind.UNRESUMABLE:",
        "if ran_for >= 0:",
        "tests/e2e/test_revival.py",
    ),
    Sabotage(
        "an agent whose terminal a person ended elsewhere is started again",
        "core/afx/tower/supervisor.py",
        "if kind is ExitKind.QUIT or cause is not Cause.FAILURE:",
        "if kind is ExitKind.QUIT:",
        "tests/tower/test_supervisor.py::test_decide_about_a_loss",
    ),
    Sabotage(
        "two Towers serve one state directory",
        "core/afx/tower/lock.py",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        "tests/e2e/test_door.py::test_one_tower_for_a_state_directory",
    ),
    Sabotage(
        "a damaged database is thrown away",
        "plugins/storage_sqlite/afx_storage_sqlite/rescue.py",
        "path.with_name(path.name + part).replace(aside.with_name(aside.name + part))",
        "path.with_name(path.name + part).unlink()",
        f"{_RESCUE}::test_a_bad_page_costs_nothing_that_was_copied",
    ),
    Sabotage(
        "the service manager kills terminals together with the Tower",
        "core/afx/cli/units.py",
        '"KillMode=process",',
        '"KillMode=control-group",',
        "tests/cli/test_service.py::test_a_unit_says_what_matters",
        quick=True,
    ),
    Sabotage(
        "a cloned repository runs what it likes",
        "core/afx/settings/__init__.py",
        "if part and not is_trusted(workspace, part, env):",
        "if part is None:",
        "tests/cli/test_harness.py::test_nothing_of_a_cloned_repository_runs_before_it_is_trusted",
    ),
    Sabotage(
        "a holder that was stopped at boot and has no record stays unknown",
        "core/afx_holding/tower/strategy.py",
        "return bool(self._strangers)",
        "return False",
        f"{_SURVIVAL}::test_a_stopped_holder_without_a_record_is_taken_back_when_it_goes_on_lesson_06",
    ),
    Sabotage(
        "what a cut log has lost stays lost",
        "plugins/storage_sqlite/afx_storage_sqlite/rescue.py",
        "if lost == 0 or not",
        "if lost >= 0 or not",
        f"{_RESCUE}::test_what_a_cut_log_has_lost_comes_back_from_the_copy",
    ),
    Sabotage(
        "the kill test does not count lines",
        "core/afx/doctor/kill_test.py",
        "sum(number != wanted for number, wanted in zip(numbers, expected, strict=True)) + numbers[0]",
        "0 * len(expected)",
        "tests/doctor/test_kill_test.py::test_a_line_that_is_missing_doubled_or_out_of_order_counts",
    ),
)
