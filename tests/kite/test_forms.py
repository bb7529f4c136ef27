"""What the forms of orders say."""

from __future__ import annotations

import pytest

from btkite.kite.forms import plain


@pytest.mark.parametrize("price", [83.2525, 0.0025, 1500.05])
def test_a_price_keeps_its_decimals(price: float) -> None:
    """A currency's tick is 0.0025."""
    assert plain(price) == price
