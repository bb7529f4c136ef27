from __future__ import annotations

import os

import pytest
from hypothesis import settings

from btkite import log

# The same examples every time, so that what was green stays green; `make soak` looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("soak", max_examples=2000, deadline=None)
settings.load_profile("soak" if os.environ.get("BTKITE_SOAK") else "steady")


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(request):
    """What one test registers as a secret must not be masked in the words of another."""
    if "test_log" in request.node.nodeid or "test_alerts" in request.node.nodeid:
        log.forget_secrets()
