"""The Tower's door for people: the command ``afx``."""
