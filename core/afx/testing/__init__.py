"""Fakes and suites for plugin authors and for our own tests."""
