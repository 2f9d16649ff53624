"""Run the command line: ``python -m afx.cli``. People type ``afx``."""

import sys

from . import main

sys.exit(main())
