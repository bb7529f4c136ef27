from __future__ import annotations

import os
import signal

import pytest
import time_machine
from hypothesis import settings

from btkite import log
from tests import far

# The same examples every time, so that what was green stays green; `make soak` looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("soak", max_examples=2000, deadline=None)
settings.load_profile("soak" if os.environ.get("BTKITE_SOAK") else "steady")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A pytest in the background of a shell ignores Ctrl-C, and so would the programs that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """``BTKITE_CLOCK=2031-01-15 pytest …`` runs the tests at ten in the morning of that day, in each of xdist's
    processes, and in the programs that tests start, unless a test gives them a PYTHONPATH of their own."""
    day = os.environ.get("BTKITE_CLOCK")
    if day:
        moment = far.moment_of(day)
        os.environ.update(far.environment(moment))
        travel = time_machine.travel(moment, tick=True)
        travel.start()
        config.add_cleanup(travel.stop)


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(request):
    """What one test registers as a secret must not be masked in the words of another."""
    if any(part in request.node.nodeid for part in ("test_log", "test_alerts", "tests/cli/", "tests/house/")):
        log.forget_secrets()
