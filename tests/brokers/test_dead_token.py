"""An order call that meets a dead token is no rejected order: it waits for the next session. The judge is the
exchange's own book."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.brokers.scene import CALM, Order, buy
from tests.brokers.wire import JSON, Live, lost

DEAD = (403, JSON, {"status": "error", "error_type": "TokenException", "message": "Incorrect `api_key` or token."})
FAR = 99.0


def statuses(live: Live) -> list[tuple[str, str, str]]:
    return [(row["transaction_type"], row["order_type"], row["status"]) for row in live.book()]


@pytest.mark.parametrize("way", ["entry", "exit"])
def test_an_order_that_is_refused_with_a_403_leaves_when_the_token_is_good_again(live: Live, way: str) -> None:
    def first(s: Any) -> Any:
        if way == "entry":
            live.middle.on("POST", lost(DEAD))
        return s.buy(size=5)

    def then(s: Any) -> Any:
        live.middle.on("POST", lost(DEAD))
        return s.close()

    found = live.run([CALM] * 12, {2: first} if way == "entry" else {2: first, 4: then})
    assert [story for story in found.told if story[1] in ("Rejected", "Canceled", "Margin")] == []
    assert found.story(-1)[-1] == "Completed"
    assert len(live.book()) == (1 if way == "entry" else 2)
    assert {row["status"] for row in live.book()} == {"COMPLETE"}
    assert live.held() == (5 if way == "entry" else 0)
    assert len(live.middle.calls("POST")) == len(live.book()) + 1
    assert len([news for news in found.news if news.startswith("session lost")]) == 1
    assert "session renewed" in found.news


def test_while_the_token_is_dead_nothing_is_rejected_and_what_leaves_then_goes_by_policy(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exits leave first, then entries with a price of their own; one at market that waited for minutes is cancelled."""
    monkeypatch.chdir(tmp_path)
    steer = live.exchange.steer

    def dies(s: Any) -> list[Any]:
        steer.expire_token()
        rests = s.buy(size=1, exectype=Order.Limit, price=FAR)
        return [s.buy(size=2), rests, s.sell(size=5)]

    def log_in(s: Any) -> None:
        (tmp_path / ".env").write_text(f"KITE_ACCESS_TOKEN={steer.issue_token()}\n")

    found = live.run([CALM] * 16, {2: buy(size=5), 4: dies, 8: log_in})
    _, market, limit, closing = (ref.ref for ref in found.given)
    last = {ref: status for ref, status, _ in found.told}
    assert last == {found.given[0].ref: "Completed", market: "Canceled", limit: "Accepted", closing: "Completed"}
    assert "there was no session for" in found.given[1].info.reason
    assert statuses(live)[1:] == [("SELL", "MARKET", "COMPLETE"), ("BUY", "LIMIT", "OPEN")]
    assert live.held() == 0
    assert [news for news in found.news if news.startswith("reading")] == []  # that the token is dead is told once
