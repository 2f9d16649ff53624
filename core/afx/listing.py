"""Lists plugins from a process of its own: ``python -m afx.listing [WORKSPACE]`` prints them as JSON.

Whatever a plugin does when it is imported, it does it here, and not to the program that wants the list.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from afx.api.errors import AfxError
from afx.loader import Plugins
from afx.quarantine import Listing, earlier, recall
from afx.settings import Settings, state_directory


def main() -> int:
    """Print the plugins of this environment; return the exit status."""
    workspace = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    # What plugins print must not come between.
    with open(sys.stdout.fileno(), "wb", closefd=False) as answer:
        sys.stdout = sys.stderr
        try:
            settings = Settings.load(workspace)
            plugins = Plugins.load(
                settings["plugins.disabled"], settings=settings, marks=state_directory() / "loading"
            )
            past = recall(state_directory() / "plugins.json")
            listing = Listing(rows=earlier(plugins.rows(), past))
        except AfxError as error:
            listing = Listing(message=error.message, hint=error.hint)
        answer.write(msgspec.json.encode(listing))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
