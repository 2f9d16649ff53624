"""The face afx shows to its plugins: data, base classes, hooks and errors.

Plugin authors import :mod:`afx.plugin`, which re-exports what is public here.
"""
