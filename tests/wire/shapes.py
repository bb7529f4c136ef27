"""What Kite's documentation and samples say of each answer: names and kinds, by route.

A kind is a type, a tuple of types, a dict (an object with at least these names), a list of one kind (a list
whose items are of it), or ``Any``. ``None`` in a tuple: may be null.
"""

from __future__ import annotations

from typing import Any

Number = (int, float)
Text = str
MaybeText = (str, None)

LEVEL = {"price": Number, "quantity": int, "orders": int}
OHLC = {"open": Number, "high": Number, "low": Number, "close": Number}
PROFILE = {
    "user_id": Text, "user_type": Text, "email": Text, "user_name": Text, "user_shortname": Text, "broker": Text,
    "exchanges": [Text], "products": [Text], "order_types": [Text], "avatar_url": MaybeText,
    "meta": {"demat_consent": Text},
}  # fmt: skip
FULL_PROFILE = {
    **PROFILE, "twofa_type": Text, "phone": Text, "bank_accounts": [{"name": Text, "branch": Text, "account": Text}],
    "dp_ids": [Text], "pan": Text, "tags": list, "password_timestamp": Text, "twofa_timestamp": Text,
    "meta": {"poa": Text, "silo": Text, "account_blocks": list},
}  # fmt: skip
SESSION = {
    **PROFILE, "api_key": Text, "access_token": Text, "public_token": Text, "enctoken": Text, "refresh_token": Text,
    "silo": Text, "login_time": Text,
}  # fmt: skip
SEGMENT = {
    "enabled": bool, "net": Number,
    "available": {"adhoc_margin": Number, "cash": Number, "opening_balance": Number, "live_balance": Number,
                  "collateral": Number, "intraday_payin": Number},
    "utilised": {"debits": Number, "exposure": Number, "m2m_realised": Number, "m2m_unrealised": Number,
                 "option_premium": Number, "payout": Number, "span": Number, "holding_sales": Number,
                 "turnover": Number, "liquid_collateral": Number, "stock_collateral": Number, "delivery": Number},
}  # fmt: skip
ORDER = {
    "placed_by": Text, "order_id": Text, "exchange_order_id": MaybeText, "parent_order_id": MaybeText, "status": Text,
    "status_message": MaybeText, "status_message_raw": MaybeText, "order_timestamp": Text,
    "exchange_update_timestamp": MaybeText, "exchange_timestamp": MaybeText, "variety": Text, "modified": bool,
    "exchange": Text, "tradingsymbol": Text, "instrument_token": int, "order_type": Text, "transaction_type": Text,
    "validity": Text, "product": Text, "quantity": int, "disclosed_quantity": int, "price": Number,
    "trigger_price": Number, "average_price": Number, "filled_quantity": int, "pending_quantity": int,
    "cancelled_quantity": int, "market_protection": Number, "meta": dict, "tag": MaybeText, "guid": MaybeText,
}  # fmt: skip
TRADE = {
    "trade_id": Text, "order_id": Text, "exchange": Text, "tradingsymbol": Text, "instrument_token": int,
    "product": Text, "average_price": Number, "quantity": int, "exchange_order_id": Text, "transaction_type": Text,
    "fill_timestamp": Text, "order_timestamp": Text, "exchange_timestamp": Text,
}  # fmt: skip
POSITION = {
    "tradingsymbol": Text, "exchange": Text, "instrument_token": int, "product": Text, "quantity": int,
    "overnight_quantity": int, "multiplier": Number, "average_price": Number, "close_price": Number,
    "last_price": Number, "value": Number, "pnl": Number, "m2m": Number, "unrealised": Number, "realised": Number,
    "buy_quantity": int, "buy_price": Number, "buy_value": Number, "buy_m2m": Number, "sell_quantity": int,
    "sell_price": Number, "sell_value": Number, "sell_m2m": Number, "day_buy_quantity": int, "day_buy_price": Number,
    "day_buy_value": Number, "day_sell_quantity": int, "day_sell_price": Number, "day_sell_value": Number,
}  # fmt: skip
AUCTION = {
    "tradingsymbol": Text, "exchange": Text, "instrument_token": int, "isin": Text, "product": Text, "price": Number,
    "quantity": int, "t1_quantity": int, "realised_quantity": int, "authorised_quantity": int,
    "authorised_date": Text, "opening_quantity": int, "collateral_quantity": int, "collateral_type": Text,
    "discrepancy": bool, "average_price": Number, "last_price": Number, "close_price": Number, "pnl": Number,
    "day_change": Number, "day_change_percentage": Number, "auction_number": Text,
}  # fmt: skip
HOLDING = {
    **{name: kind for name, kind in AUCTION.items() if name != "auction_number"},
    "used_quantity": int, "authorisation": dict, "short_quantity": int,
    "mtf": {"quantity": int, "used_quantity": int, "average_price": Number, "value": Number, "initial_margin": Number},
}  # fmt: skip
COMPACT = {"exchange": Text, "tradingsymbol": Text, "instrument_token": int, "t1_quantity": int, "quantity": int}
SUMMARY = {
    "total_pnl": Number, "total_pnl_percent": Number, "today_pnl": Number, "today_pnl_percent": Number,
    "invested_amount": Number, "current_value": Number,
}  # fmt: skip
LTP = {"instrument_token": int, "last_price": Number}
QUOTE = {
    **LTP, "timestamp": Text, "last_trade_time": MaybeText, "last_quantity": int, "buy_quantity": int,
    "sell_quantity": int, "volume": int, "average_price": Number, "oi": Number, "oi_day_high": Number,
    "oi_day_low": Number, "net_change": Number, "lower_circuit_limit": Number, "upper_circuit_limit": Number,
    "ohlc": OHLC, "depth": {"buy": [LEVEL], "sell": [LEVEL]},
}  # fmt: skip
CHARGES = {
    "transaction_tax": Number, "transaction_tax_type": Text, "exchange_turnover_charge": Number,
    "sebi_turnover_charge": Number, "brokerage": Number, "stamp_duty": Number,
    "gst": {"igst": Number, "cgst": Number, "sgst": Number, "total": Number}, "total": Number,
}  # fmt: skip
MARGIN = {
    "type": Text, "tradingsymbol": Text, "exchange": Text, "span": Number, "exposure": Number,
    "option_premium": Number, "additional": Number, "bo": Number, "cash": Number, "var": Number,
    "pnl": {"realised": Number, "unrealised": Number}, "leverage": Number, "charges": CHARGES, "total": Number,
}  # fmt: skip
NOTE = {
    "transaction_type": Text, "tradingsymbol": Text, "exchange": Text, "variety": Text, "product": Text,
    "order_type": Text, "quantity": int, "price": Number, "charges": CHARGES,
}  # fmt: skip
GTT = {
    "id": int, "user_id": Text, "parent_trigger": Any, "type": Text, "created_at": Text, "updated_at": Text,
    "expires_at": Text, "status": Text,
    "condition": {"exchange": Text, "last_price": Number, "tradingsymbol": Text, "trigger_values": [Number],
                  "instrument_token": int},
    "orders": [{"exchange": Text, "tradingsymbol": Text, "product": Text, "order_type": Text,
                "transaction_type": Text, "quantity": int, "price": Number, "result": (dict, None)}],
    "meta": (dict, None),
}  # fmt: skip
ALERT = {
    "type": Text, "user_id": Text, "uuid": Text, "name": Text, "status": Text, "disabled_reason": Text,
    "lhs_attribute": Text, "lhs_exchange": Text, "lhs_tradingsymbol": Text, "operator": Text, "rhs_type": Text,
    "rhs_attribute": Text, "rhs_exchange": Text, "rhs_tradingsymbol": Text, "rhs_constant": Number,
    "alert_count": int, "created_at": Text, "updated_at": Text,
}  # fmt: skip
BASKET = {
    "items": [{
        "id": int, "tradingsymbol": Text, "exchange": Text, "instrument_token": int, "weight": int,
        "params": {"validity": Text, "validity_ttl": int, "variety": Text, "product": Text, "order_type": Text,
                   "transaction_type": Text, "quantity": int, "disclosed_quantity": int, "price": Number,
                   "trigger_price": Number, "squareoff": Number, "stoploss": Number, "trailing_stoploss": Number,
                   "gtt": {"target": Number, "stoploss": Number}, "tags": list},
    }],
}  # fmt: skip
ALERT_HISTORY = {
    "uuid": Text, "type": Text, "condition": Text, "created_at": Text, "order_meta": Any,
    "meta": [{
        "instrument_token": int, "tradingsymbol": Text, "timestamp": Text, "last_price": Number, "ohlc": OHLC,
        "net_change": Number, "exchange": Text, "last_trade_time": Text, "last_quantity": int, "buy_quantity": int,
        "sell_quantity": int, "volume": int, "volume_tick": int, "average_price": Number, "oi": Number,
        "oi_day_high": Number, "oi_day_low": Number, "lower_circuit_limit": Number, "upper_circuit_limit": Number,
    }],
}  # fmt: skip
MF_ORDER = {
    "status": Text, "purchase_type": Text, "folio": MaybeText, "order_timestamp": Text, "average_price": Number,
    "exchange_order_id": MaybeText, "last_price": Number, "tradingsymbol": Text, "settlement_id": MaybeText,
    "transaction_type": Text, "order_id": Text, "amount": Number, "tag": MaybeText, "placed_by": Text,
    "exchange_timestamp": MaybeText, "variety": Text, "last_price_date": Text, "status_message": Text, "fund": Text,
    "quantity": Number,
}  # fmt: skip
SIP = {
    "status": Text, "sip_reg_num": MaybeText, "pending_instalments": int, "created": Text, "step_up": dict,
    "dividend_type": Text, "instalment_amount": Number, "tag": MaybeText, "instalments": int, "next_instalment": Text,
    "transaction_type": Text, "trigger_price": Number, "fund": Text, "tradingsymbol": Text, "frequency": Text,
    "last_instalment": MaybeText, "instalment_day": int, "sip_type": Text, "fund_source": Text,
    "completed_instalments": int, "sip_id": Text,
}  # fmt: skip
MF_HOLDING = {
    "folio": Text, "average_price": Number, "last_price": Number, "last_price_date": Text, "pledged_quantity": Number,
    "fund": Text, "tradingsymbol": Text, "pnl": Number, "quantity": Number,
}  # fmt: skip
RANGE = {"instrument_token": int, "lower": Number, "upper": Number}


def misfits(kind: Any, answer: Any, place: str = "data") -> list[str]:
    """What of ``answer`` is not of its kind."""
    if kind is Any:
        return []
    if isinstance(kind, dict):
        if not isinstance(answer, dict):
            return [f"{place}: {type(answer).__name__} instead of an object"]
        lacking = [f"{place}.{name}: missing" for name in kind if name not in answer]
        return lacking + [
            line for name in kind if name in answer for line in misfits(kind[name], answer[name], f"{place}.{name}")
        ]
    if isinstance(kind, list):
        if not isinstance(answer, list) or not answer:
            return [f"{place}: not a filled list"]
        return [line for at, item in enumerate(answer) for line in misfits(kind[0], item, f"{place}[{at}]")]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if answer is None:
        return [] if None in kinds else [f"{place}: null"]
    good = tuple(one for one in kinds if one is not None)
    if isinstance(answer, bool) and bool not in good:
        return [f"{place}: bool"]
    return [] if isinstance(answer, good) else [f"{place}: {type(answer).__name__}"]


def surplus(kind: Any, answer: Any) -> set[str]:
    """Names in an answer that its kind does not have."""
    if isinstance(kind, dict) and isinstance(answer, dict):
        inner = [surplus(kind[name], value) for name, value in answer.items() if name in kind]
        return set(answer) - set(kind) | set().union(*inner)
    if isinstance(kind, list) and isinstance(answer, list):
        return set().union(*(surplus(kind[0], item) for item in answer))
    return set()
