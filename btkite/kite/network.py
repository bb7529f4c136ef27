"""The way to Kite, for REST and the stream alike: which address family, and through which proxy.

A proxy is only ever asked to CONNECT: it passes on the bytes of a TLS connection between us and Kite, and
sees neither the token in a header nor the one in the stream's address. A market without TLS, which is a
simulated one, is therefore reached directly. What the environment says of proxies (``HTTPS_PROXY``,
``.netrc``) is not looked at: REST and the stream would read it differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests


def proxy_for(root: str, proxy: str) -> str | None:
    """The proxy to use for the server at ``root``; None: go directly."""
    return proxy if proxy and urlsplit(root).scheme in ("https", "wss") else None


def prepare(session: requests.Session, root: str, *, proxy: str, ipv4: bool) -> None:
    """Let a session of requests take this way."""
    session.trust_env = False
    way = proxy_for(root, proxy)
    if way is not None:
        session.proxies = {"https": way}
    if ipv4:
        for scheme in ("https://", "http://"):
            session.mount(scheme, _ipv4_adapter())


def _ipv4_adapter() -> Any:
    """A transport bound to an IPv4 source: connecting to an IPv6 address fails, the next one is tried."""
    from requests.adapters import HTTPAdapter

    source = ("0.0.0.0", 0)  # noqa: S104 - a source, not a listener

    class IPv4Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            kwargs["source_address"] = source
            super().init_poolmanager(*args, **kwargs)

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            return super().proxy_manager_for(proxy, **{**kwargs, "source_address": source})

    return IPv4Adapter()
