"""Runs ``python -I -S .../recorder LIBRARY launch FILE`` in a pane, ``... LIBRARY record ...`` on its pipe.

``... LIBRARY attend PID TMUX ...`` is started by the Tower itself, for its control client.

The interpreter runs isolated and without ``site``, so neither ``.pth`` files nor the environment change it.
The directory of the package, and LIBRARY, where `afx_holding` lies, are put on the path here, last, so that
nothing in them can stand in for a module of the standard library.
"""

import os
import sys

if __name__ == "__main__":
    packages = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    standard = list(sys.path)
    library, task, *arguments = sys.argv[1:]
    sys.path += [packages, library]
    if task == "launch":
        from afx_reconnect_tmux.recorder import launcher as module
    elif task == "attend":
        from afx_reconnect_tmux.recorder import attend as module  # type: ignore[no-redef]  # one of three
    else:
        from afx_reconnect_tmux.recorder import record as module  # type: ignore[no-redef]  # one of three
    # Everything is imported now. Whatever happens to the packages on disk from here on changes nothing.
    sys.path[:] = standard
    module.main(*arguments)
