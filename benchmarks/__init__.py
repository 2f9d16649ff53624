"""Figures that afx promises, each beside something comparable that is measured in the same run.

``python -m benchmarks`` prints them. Nothing here asserts anything: what a figure should be stands beside it.
"""
