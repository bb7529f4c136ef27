from __future__ import annotations

import os
from datetime import datetime, timezone

import pytest
import time_machine
from hypothesis import settings

from btkite import log
from btkite.clock import IST_OFFSET

IST = timezone(IST_OFFSET)

# The same examples every time, so that what was green stays green; `make soak` looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("soak", max_examples=2000, deadline=None)
settings.load_profile("soak" if os.environ.get("BTKITE_SOAK") else "steady")


def pytest_configure(config):
    """``BTKITE_CLOCK=2031-01-15 pytest …`` runs the tests at ten in the morning of that day, in each of xdist's
    processes; programs that tests start keep the machine's time."""
    day = os.environ.get("BTKITE_CLOCK")
    if day:
        moment = datetime.fromisoformat(day)
        moment = moment if "T" in day else moment.replace(hour=10)
        travel = time_machine.travel(moment if moment.tzinfo else moment.replace(tzinfo=IST), tick=True)
        travel.start()
        config.add_cleanup(travel.stop)


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(request):
    """What one test registers as a secret must not be masked in the words of another."""
    if any(part in request.node.nodeid for part in ("test_log", "test_alerts", "tests/cli/")):
        log.forget_secrets()
