"""The Tower's door for people: the command ``afx``.

Every import here is paid for by every call, so `main` answers ``--version`` by itself and fetches the rest
only for the rest.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run ``afx`` with the arguments of this process; return the exit status."""
    if sys.argv[1:] == ["--version"]:
        from afx import __version__

        print(f"afx {__version__}")
        return 0
    from .main import run

    return run(sys.argv[1:])
