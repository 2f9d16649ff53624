"""Checks of the machine and of the installation, those of plugins among them, for `afx doctor`.

All of it runs in the process of the command, so that it works where the Tower cannot start.
"""
