"""What a strategy asked for, order by order, gathered from what was overheard.

Prices are held against what was named, rounded to the tick in the safe direction: a limit never to a worse price, a
trigger never nearer to the market.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
_HAIR = 1e-6


@dataclass(slots=True)
class Wish:
    """One order in the strategy's words. ``prices``: each price and limit that it was to have, oldest first;
    ``sizes``: each size; ``last``: when it was last spoken of; ``unwanted``: it was to be cancelled; ``tried``: a
    change of which nobody has heard how it ended."""

    first: Row
    prices: list[tuple[float | None, float | None]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    last: str = ""
    unwanted: bool = False
    tried: Row | None = None

    @property
    def type(self) -> str:
        return str(self.first["type"])

    @property
    def group(self) -> int:
        """The ref that it shares with its siblings; 0 if it stands alone."""
        return int(self.first["parent"] or self.first["oco"])

    def price_fits(self, found: float, of: int) -> bool:
        """Whether ``found`` is one of the limits (``of`` 1) or triggers (0) named, on the tick and on the safe side."""
        limit = of == 1 or self.type == "Limit"
        away = 1 if (self.first["side"] == "BUY") != limit else -1
        named = [pair[of if self.type != "Limit" else 0] for pair in self.prices]
        return any(price is not None and _is_rounded(found, price, away, float(self.first["tick"])) for price in named)

    def tries(self, row: Row | None) -> None:
        """A change begins (None: no more come). If one was under way, a process died in its midst, and it may have
        left."""
        if self.tried is not None:
            self.changed(self.tried)
        self.tried = row

    def changed(self, row: Row) -> None:
        """It was to be otherwise from then on; what is not named stays."""
        price, plimit = self.prices[-1]
        self.prices.append(
            (price if row["price"] is None else row["price"], plimit if row["plimit"] is None else row["plimit"])
        )
        self.sizes.append(int(row["size"] or self.sizes[-1]))


def gathered(lines: Sequence[Row], bars: Sequence[Row]) -> dict[int, Wish]:
    """All that the strategy asked for, by ref; with the prices that its trailing stops had at each bar."""
    found: dict[int, Wish] = {}
    for row in lines:
        if row["what"] == "give":
            if row["done"]:
                prices = [(row["price"], row["plimit"])]
                found[row["ref"]] = Wish(row, prices, [int(row["size"])], row["now"])
            continue
        wish = found.get(row["ref"])
        if wish is None:
            continue
        wish.last = row["now"]
        if row["what"] == "cancel":
            wish.unwanted = True
        elif row["what"] == "trail":
            wish.prices.append((row["price"], row["plimit"]))
        elif row["what"] == "try":
            wish.tries(row)
        else:
            wish.tried = None
            if row["done"]:
                wish.changed(row)
    for wish in found.values():
        wish.tries(None)
    for bar in bars:
        for ref, (price, plimit) in bar.get("trails", {}).items():
            if int(ref) in found:
                found[int(ref)].prices.append((price, plimit))
    return found


def siblings(wishes: Mapping[int, Wish]) -> dict[int, set[int]]:
    """For each order that has some, all members of its group but the entry, itself among them."""
    heads: dict[int, int] = {}

    def head(ref: int) -> int:
        while heads.get(ref, ref) != ref:
            ref = heads[ref]
        return ref

    for ref, wish in wishes.items():
        if wish.first["oco"]:
            heads[head(ref)] = head(int(wish.first["oco"]))
        if wish.first["parent"]:
            heads[head(ref)] = -int(wish.first["parent"])
    found: dict[int, set[int]] = {}
    for ref in wishes:
        found.setdefault(head(ref), set()).add(ref)
    return {ref: group for group in found.values() if len(group) > 1 for ref in group}


def _is_rounded(found: float, named: float, away: int, tick: float) -> bool:
    return -_HAIR <= (found - named) * away < (tick or 0.01) - _HAIR or abs(found - named) < _HAIR
