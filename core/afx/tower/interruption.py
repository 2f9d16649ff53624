"""What a resumed agent is told: that it was interrupted, why, and when, as far as that is known."""

from __future__ import annotations

PREFIX = "[afx] "
"""By this a message of afx itself is told from those of people and other agents."""

_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def message(reason: str, *, ended_at: float | None, written_at: float | None, now: float) -> str:
    """Return the message for an agent whose conversation was restored.

    Args:
        reason: Why its process ended, as a sentence; empty where that is not known.
        ended_at: When it ended; None where that is not known.
        written_at: When its transcript was last written to; None where that is not known.
        now: The time now.
    """
    said = [f"{PREFIX}You were interrupted, and your conversation has been restored.", reason]
    if ended_at is not None:
        said.append(f"That was {ago(now - ended_at)}.")
    elif written_at is not None:
        said.append(f"Your conversation was last written to {ago(now - written_at)}.")
    said.append(
        "A tool call that was running then may not have finished: check before you rely on it, and go on."
    )
    return " ".join(part for part in said if part)


def ago(seconds: float) -> str:
    """Say how long ago something was, in one unit."""
    for length, unit in _UNITS:
        count = int(seconds / length)
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "a moment ago"
