"""Who has a conversation open, and who takes a message now."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from afx.plugin import ProcessIdentity, identify
from afx_harness_claude.running import Record, _writer, holder, open_in, takes_messages

ID = "2647dc37-f7cf-4647-9e62-e47afe148df3"
NAMES = ("sleep",)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "config" / "sessions").mkdir(parents=True)
    return tmp_path / "config"


@pytest.fixture
def wrapper(config: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A shell that runs a program, with a name that would mislead who counts fields from the left."""
    named = tmp_path / "a) b"
    named.symlink_to("/bin/sh")
    with subprocess.Popen(
        (str(named), "-c", "sleep 600 & echo $!; wait"),
        env={"PATH": os.environ["PATH"], "CLAUDE_CONFIG_DIR": str(config)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def alive(pid: int) -> ProcessIdentity:
    found = identify(pid)
    assert found is not None
    return found


def name_of(pid: int) -> str:
    if sys.platform != "linux":
        return subprocess.check_output(("ps", "-o", "comm=", "-p", str(pid)), text=True).strip()
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()


def child_of(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    """Return the program that the shell runs, once it is that and no longer a copy of the shell."""
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    deadline = time.monotonic() + 10
    while not name_of(pid).endswith("sleep"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return alive(pid)


def write(config: Path, process: ProcessIdentity, **fields: object) -> Path:
    record = {"pid": process.pid, "sessionId": ID, "procStart": process.start, "startedAt": 0, **fields}
    path = config / "sessions" / f"{process.pid}.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def test_the_holder_is_the_live_process_that_wrote_the_record(config: Path) -> None:
    me = alive(os.getpid())
    assert holder(ID, config) is None
    write(config, me)
    (config / "sessions" / "1.json").write_text("garb", encoding="utf-8")
    (config / "sessions" / "2.json").mkdir()
    assert holder(ID, config) == me
    assert holder(ID.upper(), config) is None
    assert holder(ID, config / "none") is None


def test_the_conversation_that_is_open_is_that_of_the_nearest_process_with_a_record(
    config: Path, wrapper: subprocess.Popen[bytes]
) -> None:
    inner = child_of(wrapper)
    process = alive(wrapper.pid)
    assert open_in(process, config) is None
    write(config, inner)
    assert open_in(process, config) == ID
    write(config, inner, sessionId=ID.upper())
    assert open_in(process, config) == ID.upper(), "it follows /clear"
    write(config, process)
    assert open_in(process, config) == ID, "and not what an agent's own agent does"
    write(config, process, procStart="1")
    assert open_in(process, config) == ID.upper()
    assert open_in(process, config / "none") is None


def test_a_record_of_another_process_of_that_pid_names_nobody_lesson_01(config: Path) -> None:
    me = alive(os.getpid())
    write(config, me, procStart="1")
    assert holder(ID, config) is None
    write(config, me, procStart="")
    assert holder(ID, config) is None


def test_a_record_outlives_a_killed_process_and_names_nobody_lesson_20(config: Path) -> None:
    with subprocess.Popen(("sleep", "600")) as process:
        write(config, alive(process.pid))
        assert holder(ID, config) is not None
        process.kill()
        process.wait()
    assert holder(ID, config) is None


def test_times_of_ps_are_compared_across_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = ProcessIdentity(pid=7, start="Sat Nov 21 11:58:42 2026", boot_id="b")
    monkeypatch.setattr("afx_harness_claude.running.identify", lambda _: mine)
    monkeypatch.setattr("afx_harness_claude.running.time.mktime", lambda _: 1795258722.0)
    assert _writer(Record(pid=7, proc_start="Sat Nov 21 10:58:42 2026")) == mine
    assert _writer(Record(pid=7, proc_start="Sat Nov 21 10:58:43 2026")) is None


@pytest.mark.parametrize(
    ("fields", "takes"),
    [
        ({"status": "idle"}, True),
        ({"status": "busy"}, True),
        ({"status": "shell"}, True),
        ({"status": "waiting", "waitingFor": "permission prompt"}, False),
        ({"startedAt": 1e15}, False),
        ({"startedAt": 0}, True),
    ],
)
def test_a_program_with_a_dialog_takes_no_message_not_even_under_a_wrapper_lesson_38(
    config: Path, wrapper: subprocess.Popen[bytes], fields: dict[str, object], takes: bool
) -> None:
    if sys.platform != "linux":
        pytest.skip("another process's configuration directory cannot be told here")
    write(config, child_of(wrapper), **fields)
    assert takes_messages(alive(wrapper.pid), NAMES) is takes


def test_a_program_without_a_record_is_not_up_where_others_have_one(
    config: Path, wrapper: subprocess.Popen[bytes]
) -> None:
    if sys.platform != "linux":
        pytest.skip("another process's configuration directory cannot be told here")
    program = child_of(wrapper)
    assert takes_messages(alive(wrapper.pid), NAMES) is None
    path = write(config, program, procStart="1", status="idle")
    assert takes_messages(alive(wrapper.pid), NAMES) is False
    # Another program, of which nothing is known.
    assert takes_messages(alive(wrapper.pid), ("claude",)) is None
    path.write_text('{"pid":', encoding="utf-8")
    assert takes_messages(alive(wrapper.pid), NAMES) is False


def test_a_process_that_is_gone_is_nobody_of_whom_something_is_known() -> None:
    gone = ProcessIdentity(pid=2**22 + 1, start="1", boot_id="b")
    assert takes_messages(gone, NAMES) is None
