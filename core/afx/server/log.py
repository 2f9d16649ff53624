"""The Tower's log: one line an event, rotated, never with the secret in it."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import sys
import time
from collections.abc import MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

_LARGEST = 5 * 1024 * 1024
_KEPT = 3
_SELDOM = 10.0
_PLAIN = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+")
_CONCEALED = "[key]"


class Logfmt(logging.Formatter):
    """``name=value`` pairs, one line an event whatever is in it: for the file, and for programs that read it.

    Args:
        secret: Is replaced wherever it would appear.
    """

    def __init__(self, secret: str) -> None:
        super().__init__()
        self._secret = secret

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        pairs = {
            "timestamp": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            pairs["exception"] = self.formatException(record.exc_info)
        return " ".join(f"{name}={self._shown(text)}" for name, text in pairs.items())

    def _shown(self, text: str) -> str:
        text = text.replace(self._secret, _CONCEALED)
        return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def set_up_log(home: Path, secret: str, *, to_stderr: bool) -> None:
    """Send everything that is logged to the log file and, where asked, to standard error.

    Args:
        home: The state directory.
        secret: Is replaced wherever it would appear.
        to_stderr: Also for a person who watches.
    """
    path = home / "tower.log"
    path.touch(mode=0o600)
    file = RotatingFileHandler(path, maxBytes=_LARGEST, backupCount=_KEPT, encoding="utf-8")
    file.setFormatter(Logfmt(secret))
    handlers: list[logging.Handler] = [file]
    if to_stderr:
        person = logging.StreamHandler(sys.stderr)
        person.setFormatter(_for_a_person(secret))
        handlers.append(person)
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(logging.INFO)
    door = logging.getLogger("uvicorn.error")
    # It would tell of every connection that comes and goes, and take each refusal of ours for a mistake: so
    # strangers could fill the log.
    door.setLevel(logging.WARNING)
    door.addFilter(_is_no_refusal)
    for nonsense in ("Invalid HTTP request", "Unsupported upgrade request"):
        door.addFilter(_Seldom(nonsense))
    logging.getLogger("asyncio").addFilter(_Seldom("out of system resource"))
    # A full disk under the log must not end the Tower, nor fill standard error.
    logging.raiseExceptions = False


def _for_a_person(secret: str) -> logging.Formatter:
    # Its import takes a third as long as everything else, and a Tower that nobody watches does not need it.
    import structlog

    def conceal(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in event.items():
            if isinstance(value, str) and secret in value:
                event[name] = value.replace(secret, _CONCEALED)
        return event

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            conceal,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
    )


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Tell whether a record says something else than that a WebSocket was refused."""
    return "without completing handshake" not in record.getMessage()


class _Seldom(logging.Filter):
    """Lets what has these words in it pass once in a while; it may be said a hundred times a second."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words
        self._again_at = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log a record."""
        if self._words not in record.getMessage():
            return True
        if time.monotonic() < self._again_at:
            return False
        self._again_at = time.monotonic() + _SELDOM
        return True
