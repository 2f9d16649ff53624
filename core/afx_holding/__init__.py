"""What the processes that hold a terminal's output are made of, whatever they get it from.

Standard library only, and nothing of afx: such a process must outlive an upgrade, or the removal, of both.
The Tower's side of the same wire is in `afx_holding.tower`, which no such process imports.
"""
