from __future__ import annotations

from datetime import datetime

import pytest

from btkite.exchange import Exchange, ExchangeSettings


@pytest.fixture(scope="session")
def exchange():
    """One server for all runs; each run resets it to its own market."""
    quiet = ExchangeSettings(
        start=datetime(2024, 7, 1, 9), auto_token="none", seed=1, symbols=("NSE:X",), generate_sessions=1
    )
    with Exchange(quiet) as started:
        yield started
