"""What needs no tmux: names, versions, settings, and what its answers mean."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx.doctor.throwaway import ThrowawayTower
from afx.plugin import (
    BadInputError,
    Cause,
    DoctorContext,
    Exit,
    Level,
    Life,
    ProcessIdentity,
    TerminalRecord,
    identify,
)
from afx_reconnect_tmux import panes
from afx_reconnect_tmux.check import TmuxCheck, judge
from afx_reconnect_tmux.names import exact, literal, looks_like_ours, session_name
from afx_reconnect_tmux.paint import paint
from afx_reconnect_tmux.tmux import Tmux, check_version

SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("builder-shop-fix", "builder-shop-fix"),
        ("architect-shop-main", "architect-shop"),
        ("architect-shop-second", "architect-shop-second"),
        ("shell-shop-1", "shell-shop-1"),
    ],
)
def test_sessions_are_called_as_people_know_them(label: str, name: str) -> None:
    assert session_name(label) == name
    assert session_name(label, 3) == f"{name}-3"
    assert looks_like_ours(name)


@given(st.text(min_size=1, max_size=400))
def test_no_label_makes_an_unsafe_name_lesson_47(label: str) -> None:
    name = session_name(label)
    assert SAFE.fullmatch(name)
    assert len(name) <= 90
    assert exact(name) == f"={name}:"


@pytest.mark.parametrize(
    "label", ["../x", "a:b.c", "-t", "x" * 300, "🙂", "a\nb", "$0", "=x", "%1", "@1", "{last}", " "]
)
def test_labels_that_mean_something_to_tmux_mean_nothing_lesson_47(label: str) -> None:
    assert SAFE.fullmatch(session_name(f"builder-shop-{label}"))
    assert SAFE.fullmatch(session_name(label))


def test_different_labels_have_different_names() -> None:
    labels = ["builder-a.b-c", "builder-a:b-c", "builder-a-b-c", "x" * 300, "x" * 301]
    assert len({session_name(label) for label in labels}) == len(labels)


def test_formats_in_a_path_are_left_alone() -> None:
    assert literal("/x/#{pid}/%H") == "/x/##{pid}/%%H"


@pytest.mark.parametrize(
    ("said", "will_do"),
    [
        ("tmux 3.2", True),
        ("tmux 3.3a", True),
        ("tmux 3.10", True),
        ("tmux 4.0", True),
        ("tmux next-3.7", True),
        ("tmux master", True),
        ("tmux 3.1c", False),
        ("tmux 2.9", False),
        ("tmux next-3.1", False),
    ],
)
def test_a_tmux_that_is_too_old_is_a_sentence(said: str, *, will_do: bool) -> None:
    wrong = check_version(said)
    assert (wrong is None) == will_do
    if wrong is not None:
        assert said in wrong
        assert wrong.endswith(".")


@pytest.mark.parametrize(
    ("said", "is_wanted", "level"),
    [
        ("tmux 3.4", True, Level.OK),
        ("tmux 3.0", True, Level.ERROR),
        ("tmux 3.0", False, Level.OK),
        (None, True, Level.ERROR),
        (None, False, Level.OK),
    ],
)
def test_doctor_minds_a_missing_tmux_only_where_it_is_wanted(
    said: str | None, *, is_wanted: bool, level: Level
) -> None:
    assert judge(said, is_wanted=is_wanted).level is level


@pytest.mark.parametrize(("strategies", "level"), [({"shellper"}, Level.OK), ({"tmux"}, Level.ERROR)])
def test_a_missing_tmux_matters_where_the_settings_want_it(
    tmp_path: Path, strategies: set[str], level: Level
) -> None:
    context = DoctorContext(home=tmp_path, env={"PATH": str(tmp_path)}, strategies=frozenset(strategies))
    (finding,) = TmuxCheck().examine(context)
    assert finding.level is level


@pytest.mark.parametrize("settings", [{"socket": "a/b"}, {"socket": 3}, {"socket": "-x"}, {"program": ""}])
def test_settings_are_checked(settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"strategy\.tmux\."):
        Tmux.of(settings, tmp_path)


def test_a_throwaway_tower_has_a_server_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its holders are killed on purpose, and the person's tmux must not be one of them."""
    assert Tmux.of({}, tmp_path).argv == ["tmux"]
    for name, value in ThrowawayTower(tmp_path)._env.items():
        monkeypatch.setenv(name, value)
    short, long = Path("/x/afx-x/tmux"), Path("/x") / ("x" * 200)
    assert Tmux.of({}, short).argv == ["tmux", "-S", "/x/afx-x/tmux/server"]
    assert Tmux.of({"socket": "work"}, long).argv[:2] == ["tmux", "-L"]
    assert Tmux.of({"socket": "work"}, long).argv[2] not in {"work", "default"}


def a_line(**fields: str) -> str:
    values = {"pid": "1", "pane_pid": "2", "session_id": "$1", "window_id": "@1", "pane_id": "%1", **fields}
    return "\t".join(values.get(field, "") for field in panes._FIELDS)


def test_what_tmux_prints_is_read_and_nonsense_passed_over() -> None:
    text = "\n".join(
        [
            a_line(**{"@afx_terminal": "t1", "@afx_home": "/h", "session_name": "builder-x"}),
            "nonsense",
            # tmux 3.8 gives a dead pane no process id.
            a_line(pane_dead="1", pane_dead_status="7", pane_dead_time="50", pane_pid=""),
            a_line(pid="no"),
        ]
    )
    alive, dead = panes.read(text)
    assert (alive.terminal, alive.name, alive.dead) == ("t1", "builder-x", False)
    assert panes.by_terminal([alive, dead], "/h") == {"t1": alive}
    assert panes.by_terminal([alive, dead], "/another") == {}
    assert dead.exit(99.0) == Exit(code=7, at=50.0)


@pytest.mark.parametrize(
    ("fields", "tells", "end"),
    [
        ({"pane_dead": "1", "pane_dead_status": "0"}, True, Exit(code=0, at=9.0)),
        ({"pane_dead": "1", "pane_dead_signal": "15"}, True, Exit(signal=15, at=9.0)),
        ({"pane_dead": "1"}, False, Exit(at=9.0)),
    ],
)
def test_an_end_is_read_as_far_as_it_is_told(fields: dict[str, str], end: Exit, *, tells: bool) -> None:
    (pane,) = panes.read(a_line(**fields))
    assert pane.tells_end is tells
    assert pane.exit(9.0) == end


def a_record(holder: ProcessIdentity | None, socket: str = "") -> TerminalRecord:
    handle = {"socket": socket, "holder": msgspec.to_builtins(holder), "session": "$1", "pane": "%1"}
    return TerminalRecord(id="t", agent_id="a", host="h", strategy="tmux", handle=handle, started_at=0.0)


def test_only_the_server_itself_proves_that_a_session_is_gone_lesson_04() -> None:
    me = identify(os.getpid())
    assert me is not None
    gone = msgspec.structs.replace(me, start="1")
    ended = panes.judge_missing(a_record(me), me.pid, "")
    assert (ended.life, ended.cause) == (Life.DEAD, Cause.CLOSED)
    assert panes.judge_missing(a_record(me), me.pid, "another").life is Life.NO_ANSWER
    assert panes.judge_missing(a_record(me), 1, "").life is Life.NO_ANSWER
    assert panes.judge_missing(a_record(None), me.pid, "").life is Life.NO_ANSWER
    # A newcomer with the pid of the server that is gone (lesson 1).
    replaced = panes.judge_missing(a_record(gone), me.pid, "")
    assert (replaced.life, replaced.cause) == (Life.DEAD, Cause.FAILURE)
    assert f"tmux server (process {me.pid}) is gone" in replaced.reason


def test_no_answer_is_no_proof_lesson_03() -> None:
    me = identify(os.getpid())
    assert me is not None
    silent = panes.judge_without_server(a_record(me), "It is slow.")
    assert (silent.life, "It is slow." in silent.reason) == (Life.NO_ANSWER, True)
    assert panes.judge_without_server(a_record(None), "").life is Life.NO_ANSWER
    old = a_record(msgspec.structs.replace(me, boot_id="another"))
    for ended, cause in (
        (None, Cause.FAILURE),
        (Cause.FAILURE, Cause.FAILURE),
        (Cause.SHUT_DOWN, Cause.SHUT_DOWN),
    ):
        gone = panes.judge_without_server(old, "", ended)
        assert (gone.life, gone.cause) == (Life.DEAD, cause)
        assert f"its tmux server (process {me.pid})" in gone.reason
    alive = panes.judge_without_server(a_record(me), "", Cause.SHUT_DOWN)
    assert alive.life is Life.NO_ANSWER


def test_a_picture_keeps_history_both_screens_and_modes() -> None:
    facts = {
        "pane_height": "2", "history_size": "1", "alternate_on": "1", "alternate_saved_x": "3",
        "alternate_saved_y": "1", "cursor_x": "4", "cursor_y": "0", "cursor_flag": "0", "wrap_flag": "1",
        "mouse_sgr_flag": "1", "scroll_region_upper": "0", "scroll_region_lower": "1", "pane_title": "T\x07",
    }  # fmt: skip
    from afx_reconnect_tmux import paint as module

    said = "\t".join(facts.get(field, "0" if "flag" in field else "") for field in module._FIELDS)
    answer = f"{said}\nMARK\nold line\nMARK\nfull\nscreen\nMARK\nbelow\n\n"
    picture = paint(answer, "MARK")
    parts = [b"old line\r\n", b"below\r\n", b"\x1b[2;4H", b"\x1b[?1049h", b"full\r\nscreen", b"\x1b[?1006h"]
    places = [picture.index(part) for part in parts]
    assert places == sorted(places)
    assert b"\x1b[?25l" in picture
    assert b"\x1b]2;T\x1b\\" in picture
    assert picture.endswith(b"\x1b[1;5H")
