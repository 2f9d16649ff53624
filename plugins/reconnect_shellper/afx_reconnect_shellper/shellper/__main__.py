"""Starts the zygote: ``python -I -S .../shellper/__main__.py LIBRARY``, descriptor 0 a socket to the Tower.

The interpreter runs isolated and without ``site``, so neither ``.pth`` files nor the environment slow it
down or change it. The directory of the package, and LIBRARY, where `afx_holding` lies, are therefore put on
the path here, last, so that nothing in them can stand in for a module of the standard library.
"""

import os
import sys

if __name__ == "__main__":
    packages = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    standard = list(sys.path)
    sys.path += [packages, *sys.argv[1:2]]
    from afx_reconnect_shellper.shellper.zygote import main

    # Everything is imported now. Whatever happens to the packages on disk from here on changes nothing.
    sys.path[:] = standard
    main()
