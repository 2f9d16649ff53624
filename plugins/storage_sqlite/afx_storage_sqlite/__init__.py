"""Built-in plugin of afx."""
