"""The shellper: the small detached process that holds one terminal, and the parent that forks it.

Standard library and `afx_holding` only, and nothing of afx: it must outlive an upgrade, or the removal, of
both. The Tower's side imports nothing of it but where it lies.
"""
