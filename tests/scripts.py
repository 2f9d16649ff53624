"""Programs that tests put in the place of others."""

from __future__ import annotations

from pathlib import Path


def write_script(path: Path, body: str = "") -> Path:
    """Write a script of /bin/sh that can be run, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path
