"""Terminals that live in tmux, where a person may look at them with ``tmux attach`` as well.

This module imports nothing, since what runs inside tmux uses the standard library and `afx_holding` only.
What the plugin registers is in `afx_reconnect_tmux.plugin`.
"""
