"""The Tower keeps its promises through whatever hypothesis thinks of, and the model can tell when not."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from afx.testing.model import TowerModel, model_settings


@pytest.mark.timeout(3600)
def test_the_tower_keeps_its_promises(pytestconfig: pytest.Config) -> None:
    lives, shrink = pytestconfig.getoption("model_lives"), pytestconfig.getoption("model_shrink")
    run_state_machine_as_test(TowerModel, settings=model_settings(lives, shrink=shrink))
