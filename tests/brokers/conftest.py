from __future__ import annotations

from collections.abc import Iterator

import pytest

from btkite.testing import KiteExchange
from tests.brokers.wire import Live, Middle


@pytest.fixture(scope="session")
def _middle() -> Iterator[Middle]:
    middle = Middle()
    yield middle
    middle.close()


@pytest.fixture
def live(kite_exchange: KiteExchange, _middle: Middle) -> Live:
    """Live trading on the exchange through a wire that fails as it is told."""
    _middle.begin(kite_exchange.url)
    return Live(kite_exchange, _middle)
