"""Starts the zygote: ``python -I -S .../shellper/__main__.py`` with a socket to the Tower as descriptor 0.

The interpreter runs isolated and without ``site``, so neither ``.pth`` files nor the environment slow it
down or change it. The directory of the package is therefore put on the path here, last, so that nothing
in it can stand in for a module of the standard library.
"""

import os
import sys

if __name__ == "__main__":
    packages = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    sys.path.append(packages)
    from afx_reconnect_shellper.shellper.zygote import main

    # Everything is imported now. Whatever happens to the package on disk from here on changes nothing.
    sys.path.remove(packages)
    main()
