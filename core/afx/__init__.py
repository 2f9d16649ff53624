"""afx keeps coding agents alive.

The package's own namespace holds nothing but the version, so that ``import afx`` costs next to nothing.
A plugin author imports :mod:`afx.plugin`; everything else is the engine's.
"""

__version__ = "0.1.0"
