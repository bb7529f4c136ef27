"""Where Kite is: the production service, the official sandbox, or a simulated exchange.

Sources: https://kite.trade/docs/connect/v3/ (roots of the service) and /docs/connect/v3/sandbox
(every route but ``/instruments`` under ``/oms``, ``user_id`` in the stream's URL, LIMIT orders
only, no GTT and no margin calculators).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ..errors import ConfigError

MARKET_ORDERS = "market_orders"
GTT = "gtt"
MARGIN_CALCULATORS = "margin_calculators"
CHARGES = "charges"
TRIGGER_RANGE = "trigger_range"
ALERTS = "alerts"
EVERYTHING = frozenset({MARKET_ORDERS, GTT, MARGIN_CALCULATORS, CHARGES, TRIGGER_RANGE, ALERTS})

SIMULATOR_PORT = 8765


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place that speaks Kite.

    ``route_prefix`` goes before every REST path but those that start with one of
    ``unprefixed_routes``. ``ws_extra`` names query parameters of the stream beyond the key and the
    token (only ``user_id`` is known). ``capabilities`` are the names above.
    """

    name: str
    rest_root: str
    ws_root: str
    login_root: str
    route_prefix: str = ""
    unprefixed_routes: tuple[str, ...] = ()
    ws_extra: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()

    def path(self, route: str) -> str:
        """The path of a route on this endpoint.

        A route of ``unprefixed_routes`` covers itself and one segment more (``/instruments/NSE``),
        not what lies deeper (``/instruments/historical/…``).
        """
        for bare in self.unprefixed_routes:
            if route == bare or (route.startswith(bare + "/") and "/" not in route[len(bare) + 1 :]):
                return route
        return self.route_prefix + route


KITE = Endpoint(
    name="kite",
    rest_root="https://api.kite.trade",
    ws_root="wss://ws.kite.trade",
    login_root="https://kite.zerodha.com/connect/login",
    capabilities=EVERYTHING,
)

SANDBOX = Endpoint(
    name="sandbox",
    rest_root="https://sandbox.kite.trade",
    ws_root="wss://ws-sandbox.kite.trade",
    login_root="https://sandbox.kite.trade/connect/login",
    route_prefix="/oms",
    unprefixed_routes=("/instruments",),
    ws_extra=("user_id",),
)


def simulator(port: int = SIMULATOR_PORT, host: str = "127.0.0.1") -> Endpoint:
    """The simulated exchange on ``host:port``."""
    root = f"http://{host}:{port}"
    return Endpoint(
        name="simulator",
        rest_root=root,
        ws_root=f"ws://{host}:{port}",
        login_root=f"{root}/connect/login",
        capabilities=EVERYTHING,
    )


SIMULATOR = simulator()


def resolve(text: str) -> Endpoint:
    """``kite``, ``sandbox``, ``simulator``, ``simulator:PORT``, or the root URL of a server.

    A root URL sets REST, stream and login alike; its path, if any, becomes the route prefix.

    Raises:
        ConfigError: if it is none of these.
    """
    name, colon, port = text.strip().partition(":")
    shipped = {"kite": KITE, "sandbox": SANDBOX, "simulator": SIMULATOR}
    if not colon and name in shipped:
        return shipped[name]
    if name == "simulator" and port.isdecimal() and 0 < int(port) < 65536:
        return simulator(int(port))
    try:
        url = urlsplit(text.strip())
        known = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        known = False
    if not known or url.query or url.fragment or url.username:
        raise ConfigError(
            f"endpoint {text!r} is not known: write kite, sandbox, simulator or a URL as http://HOST:PORT"
        )
    root = f"{url.scheme}://{url.netloc}"
    prefix = url.path.rstrip("/")
    return replace(
        SIMULATOR,
        name=url.netloc,
        rest_root=root,
        ws_root=f"{'wss' if url.scheme == 'https' else 'ws'}://{url.netloc}",
        login_root=f"{root}/connect/login",
        route_prefix=prefix,
    )
