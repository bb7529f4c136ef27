from __future__ import annotations

import pytest

from btkite import log


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(request):
    """What one test registers as a secret must not be masked in the words of another."""
    if "test_log" in request.node.nodeid or "test_alerts" in request.node.nodeid:
        log.forget_secrets()
