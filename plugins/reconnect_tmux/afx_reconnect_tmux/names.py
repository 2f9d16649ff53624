"""What sessions are called, and how text becomes part of a command that tmux reads.

A name comes from what people called their repository and their agent, so it may hold anything. What tmux is
given holds letters, digits, hyphens and underscores only, and every target is exact.
"""

from __future__ import annotations

import hashlib
import re
import shlex

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 80
_PATTERN = re.compile(r"(architect|builder|shell)-(.+)")


def session_name(label: str, number: int = 1) -> str:
    """Return the name of a session for a terminal with this label.

    Args:
        label: Such as ``builder-myrepo-fix``. An architect named ``main`` is its workspace's only one as a
            rule, and its session carries the workspace's name alone.
        number: Counts on where the name before is taken.
    """
    if label.startswith("architect-"):
        label = label.removesuffix("-main")
    name = _UNSAFE.sub("-", label).strip("-")
    if name != label or len(name) > _LONGEST:
        # Two labels that look alike once they are safe still get two names.
        digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:6]
        name = f"{name[:_LONGEST].rstrip('-') or 'afx'}-{digest}"
    return name if number == 1 else f"{name}-{number}"


def looks_like_ours(name: str) -> bool:
    """Tell whether a session of this name may be an agent's, going by its name alone."""
    return _PATTERN.fullmatch(name) is not None


def exact(name: str) -> str:
    """Return the target that means the session of this name, and no other whose name begins like it."""
    return f"={name}:"


def shell_words(*words: str) -> str:
    """Return a command line for the shell that tmux starts programs with."""
    return " ".join(shlex.quote(word) for word in words)


def literal(text: str) -> str:
    """Return what tmux expands to `text`, where it expands formats and times."""
    return text.replace("%", "%%").replace("#", "##")
