"""A Python that a test starts on another day is on that day as well: see tests/far.py."""

from __future__ import annotations

import os
import time

_ahead = os.environ.get("CLOCK_OF_TESTS_AHEAD")
if _ahead:
    import time_machine

    time_machine.travel(time.time() + float(_ahead), tick=True).start()
