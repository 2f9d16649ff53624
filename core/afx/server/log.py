"""The Tower's log: one line an event, rotated, never with the secret in it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog

_LARGEST = 5 * 1024 * 1024
_KEPT = 3
_SELDOM = 10.0


def set_up_log(home: Path, secret: str, *, to_stderr: bool) -> None:
    """Send everything that is logged to the log file and, where asked, to standard error.

    Args:
        home: The state directory.
        secret: Is replaced wherever it would appear.
        to_stderr: Also for a person who watches.
    """

    def conceal(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in event.items():
            if isinstance(value, str) and secret in value:
                event[name] = value.replace(secret, "[key]")
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        conceal,
    ]

    def formatter(renderer: structlog.typing.Processor) -> logging.Formatter:
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, conceal, renderer],
        )

    path = home / "tower.log"
    path.touch(mode=0o600)
    file = RotatingFileHandler(path, maxBytes=_LARGEST, backupCount=_KEPT, encoding="utf-8")
    file.setFormatter(
        formatter(structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "logger", "event"]))
    )
    handlers: list[logging.Handler] = [file]
    if to_stderr:
        person = logging.StreamHandler(sys.stderr)
        person.setFormatter(formatter(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())))
        handlers.append(person)
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(logging.INFO)
    door = logging.getLogger("uvicorn.error")
    # It would tell of every connection that comes and goes, and take each refusal of ours for a mistake: so
    # strangers could fill the log.
    door.setLevel(logging.WARNING)
    door.addFilter(_is_no_refusal)
    logging.getLogger("asyncio").addFilter(_Seldom("out of system resource"))
    # A full disk under the log must not end the Tower, nor fill standard error.
    logging.raiseExceptions = False


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Tell whether a record says something else than that a WebSocket was refused."""
    return "without completing handshake" not in record.getMessage()


class _Seldom(logging.Filter):
    """Lets what has these words in it pass once in a while; it is said a hundred times a second."""

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
