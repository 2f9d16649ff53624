"""The Tower's log: one line an event, with neither the secret nor a second line in it."""

import logging
import re
from pathlib import Path

import pytest

from afx.server.log import Logfmt, set_up_log

SECRET = "s3cr3t-key"


def line_of(message: str, *arguments: object, error: Exception | None = None) -> str:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    return Logfmt(SECRET).format(
        logging.LogRecord("afx.tower", logging.WARNING, __file__, 1, message, arguments, exc_info)
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("short", "event=short"),
        ("two words", 'event="two words"'),
        ("a=b", 'event="a=b"'),
        ('says "no"', r'event="says \"no\""'),
        ("one\ntwo\x1b[31m", r'event="one\ntwo\u001b[31m"'),
        ("Größe", "event=Größe"),
        ("", 'event=""'),
        (f"the key is {SECRET}", 'event="the key is [key]"'),
    ],
)
def test_an_event_is_one_line_that_can_be_read_back(message: str, shown: str) -> None:
    line = line_of(message)
    assert re.fullmatch(
        r"timestamp=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z level=warning logger=afx\.tower event=.*", line
    )
    assert line.endswith(shown)


def test_a_traceback_stays_in_its_line_and_has_no_secret_in_it() -> None:
    line = line_of("It failed: %s", "twice", error=ValueError(SECRET))
    assert "\n" not in line
    assert SECRET not in line
    assert 'event="It failed: twice" exception=' in line
    assert "ValueError: [key]" in line


def test_who_watches_sees_lines_without_the_secret_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(logging, "raiseExceptions", True)
    level = root.level
    try:
        set_up_log(tmp_path, SECRET, to_stderr=True)
        logging.getLogger("afx.tower").info("It is %s.", SECRET)
        for handler in root.handlers:
            handler.close()
    finally:
        root.setLevel(level)
    assert "It is [key]." in capsys.readouterr().err
    assert 'event="It is [key]."' in (tmp_path / "tower.log").read_text()
