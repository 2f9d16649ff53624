"""What runs inside tmux: the recorder of a pane's output, and the launcher that turns into its program.

Standard library and `afx_holding` only, and nothing of afx: both must outlive an upgrade, or the removal, of
it. The Tower's side imports nothing of this but where it lies.
"""
