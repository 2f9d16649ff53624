"""The Tower and the repository of the end-to-end tests."""

from __future__ import annotations

from e2e.conftest import short_directory, strategy, tower, workspace

__all__ = ["short_directory", "strategy", "tower", "workspace"]
