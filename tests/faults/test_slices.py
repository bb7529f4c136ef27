"""An order in slices whose process dies between two of them. The exchange's book is the judge."""

from __future__ import annotations

import pytest

from tests.brokers.test_permitted import INDEX, kite, market
from tests.faults.lives import life
from tests.faults.scene import held
from tests.faults.test_scenario_03 import said

MOST = 1755
WHOLE = [MOST, MOST, 390]
LOST_THIRD = [MOST, MOST]
DEATHS = {
    "intent2": [WHOLE, [MOST, 390]],  # the second never left; the first may have been about to
    "sending2": [[MOST, 390]],  # the order was an entry, and nobody knows: it is given up
    "answer2": [WHOLE, LOST_THIRD],  # the desk may have been about to send the third
    "answer3": [WHOLE],
}


@pytest.mark.parametrize("death", list(DEATHS))
def test_no_slice_is_doubled_or_lost(kite_exchange, tmp_path, death):
    kite_exchange.reset(market(INDEX, [(100.0,) * 4] * 7 + [(98.0,) * 4] * 20), **kite(INDEX))
    life(kite_exchange, tmp_path, "slices", death)
    second = life(kite_exchange, tmp_path, "slices")
    rows = kite_exchange.orders()
    found = sorted((int(row["quantity"]) for row in rows), reverse=True)
    assert found in DEATHS[death]
    assert len({row["tag"] for row in rows}) == len(rows)
    assert said(second, "restored")[0]["orders"] == 1
    assert {row["status"] for row in rows} == {"COMPLETE"}
    assert said(second, "end")[0]["size"] == held(kite_exchange) == sum(found)
    last = said(second, "order")[-1]
    assert last["status"] == ("Completed" if found == WHOLE else "Rejected")
