from __future__ import annotations

from afx.testing.model import TowerModel

TestTowerModel = TowerModel.TestCase
