"""Terminals that outlive the Tower, each held by a small process of its own: the shellper.

This module imports nothing, since the shellper process runs it with the standard library only.
What the plugin registers is in `afx_reconnect_shellper.plugin`.
"""
