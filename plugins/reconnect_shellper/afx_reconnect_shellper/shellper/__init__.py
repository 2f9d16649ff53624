"""The shellper: the small detached process that holds one terminal, and the parent that forks it.

Standard library only, and nothing of afx: it must outlive an upgrade, or the removal, of both. The
Tower's side shares `frames` and `peer` with it and nothing else.
"""
