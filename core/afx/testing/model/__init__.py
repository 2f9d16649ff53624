"""A model of crash, restart, reconcile and resume, which tries to break what afx promises.

`TowerModel` is a state machine for hypothesis: it has a Tower live through whatever hypothesis thinks of, and
looks after every step whether a promise was broken.
"""

from __future__ import annotations

from .tower_model import TowerModel, model_settings
from .watched import BreachError

__all__ = ["BreachError", "TowerModel", "model_settings"]
