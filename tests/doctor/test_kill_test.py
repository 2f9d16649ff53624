"""The kill test: how it counts, and a run of it on the strategies that work here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from afx.doctor.kill_test import missing_lines
from afx.doctor.throwaway import HARNESS, ThrowawayTower


def lines(*numbers: int) -> bytes:
    return b"".join(b"count %d\r\n" % number for number in numbers)


@pytest.mark.parametrize(
    ("output", "missing"),
    [
        (lines(0, 1, 2), 0),
        (lines(0, 1, 2) + b"cou", 0),
        (lines(0, 1, 2) + b"count 3", 0),
        (lines(0, 1, 3), 1),
        (lines(0, 1, 1), 1),
        (lines(1, 2), 1),
        (lines(0, 2, 1), 2),
        (b"", 1),
    ],
)
def test_a_line_that_is_missing_doubled_or_out_of_order_counts(output: bytes, missing: int) -> None:
    assert missing_lines(output) == missing


def test_the_agent_program_keeps_its_conversation_where_no_other_program_is_installed(tmp_path: Path) -> None:
    ThrowawayTower(tmp_path)
    for turn in (1, 2):
        said = subprocess.run(
            ["/bin/sh", str(tmp_path / "bin" / HARNESS), "--resume", "c1"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": ""},
        )
        assert said.stdout == f"conversation c1, turn {turn}\n"
        assert said.stderr == ""


def test_nothing_is_lost_here_and_nothing_left_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "afx.cli", "doctor", "--kill-test", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    told = json.loads(done.stdout)
    assert told["passed"], told["trials"]
    assert done.returncode == 0
    strategies = {trial["strategy"] for trial in told["trials"] if trial["done"] != "start"}
    assert "shellper" in strategies
    for strategy in strategies:
        trials = [trial for trial in told["trials"] if trial["strategy"] == strategy]
        assert sum("revived" in trial["became"] for trial in trials) == 2
        assert trials[-1]["became"] == "revived with its conversation"
        assert sum(trial["missing"] == 0 for trial in trials) >= 4
    assert left_behind(tmp_path) == []
    assert [*tmp_path.glob("afx-*")] == []


def test_what_is_broken_off_leaves_nothing_behind(tmp_path: Path) -> None:
    """While it starts terminals, and by somebody who does not wait for the end."""
    test = subprocess.Popen(
        [sys.executable, "-m", "afx.cli", "doctor", "--kill-test"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert test.stderr is not None
    assert "starting terminals" in test.stderr.readline()
    deadline = time.monotonic() + 20
    while not [*tmp_path.glob("afx-*/talks/*")]:
        assert time.monotonic() < deadline, "its agent does not start"
        time.sleep(0.001)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        test.send_signal(number)
    test.communicate(timeout=60)
    assert test.returncode not in {0, -signal.SIGTERM, -signal.SIGHUP}
    assert left_behind(tmp_path) == []
    assert [*tmp_path.glob("afx-*")] == []


def left_behind(directory: Path) -> list[str]:
    """Return processes whose environment names a state directory in this one: a throwaway Tower's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(one.startswith(f"AFX_HOME={directory}/afx-".encode()) for one in variables):
            found.append(process.name)
    return found
