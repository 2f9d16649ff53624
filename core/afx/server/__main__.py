"""Run the Tower: ``python -m afx.server``. People type ``afx tower start``."""

import gc
import sys


def _run() -> int:
    # What a boot loads stays, so looking for garbage in it would only take time; `main` ends the pause.
    gc.disable()
    from .main import main

    return main()


if __name__ == "__main__":
    sys.exit(_run())
