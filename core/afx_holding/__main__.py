"""Starts a holder: ``python -I -S .../afx_holding FILE CLASS``, descriptor 0 a socket to the Tower.

FILE defines CLASS, an `afx_holding.terminal.Terminal`; it imports the standard library and `afx_holding`.
The interpreter runs isolated and without ``site``, so neither ``.pth`` files nor the environment slow it down
or change it. The directory in which `afx_holding` lies is put on the path here, last, so that nothing in it
can stand in for a module of the standard library.
"""

import os
import sys

if __name__ == "__main__":
    file, name = sys.argv[1:]
    # The first is the directory of this file, since that was run.
    standard = sys.path[1:]
    sys.path[:] = [*standard, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]  # noqa: PTH100, PTH120
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    from afx_holding.standalone import hold

    loader = SourceFileLoader("held", file)
    spec = spec_from_loader("held", loader)
    assert spec is not None  # noqa: S101 - a loader was given
    module = sys.modules["held"] = module_from_spec(spec)
    loader.exec_module(module)
    # Everything is imported now. Whatever happens to the packages on disk from here on changes nothing.
    sys.path[:] = standard
    hold(getattr(module, name))
