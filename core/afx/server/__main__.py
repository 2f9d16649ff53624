"""Run the Tower: ``python -m afx.server``. People type ``afx tower start``."""

import sys

from .main import main

sys.exit(main())
