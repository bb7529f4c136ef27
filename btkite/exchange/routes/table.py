"""All routes, and the way from a method and a path to one of them."""

from __future__ import annotations

from . import alerts, gtt, margins, market, mf, orders, portfolio, session
from .call import Route

TABLE: tuple[Route, ...] = (
    *session.TABLE,
    *orders.TABLE,
    *portfolio.TABLE,
    *market.TABLE,
    *margins.TABLE,
    *gtt.TABLE,
    *alerts.TABLE,
    *mf.TABLE,
)
PREFIX = "/oms"  # of the sandbox


_Methods = dict[str, Route]
_exact: dict[str, _Methods] = {}
_patterns: dict[int, list[tuple[list[str], _Methods]]] = {}  # by count of parts; a name's part is ""


def _put(route: Route) -> None:
    if "{" not in route.path:
        _exact.setdefault(route.path, {})[route.method] = route
        return
    parts = ["" if part[:1] == "{" else part for part in route.path.split("/")]
    rows = _patterns.setdefault(len(parts), [])
    for known, methods in rows:
        if known == parts:
            methods[route.method] = route
            return
    rows.append((parts, {route.method: route}))


for _route in TABLE:
    _put(_route)


def find(method: str, path: str) -> tuple[Route | None, dict[str, str], set[str]]:
    """The route, what its path names, and the methods that the path knows (none: there is no such path).

    A path without names wins over one with names, if it knows the method.
    """
    known = _exact.get(path, {})
    if method in known:
        return known[method], {}, set(known)
    allowed = set(known)
    parts = path.split("/")
    for pattern, methods in _patterns.get(len(parts), ()):
        if all(want == part if want else part for want, part in zip(pattern[1:], parts[1:], strict=True)):
            if method in methods:
                return methods[method], _names(methods[method], parts), set(methods)
            allowed |= set(methods)
    return None, {}, allowed


def _names(route: Route, parts: list[str]) -> dict[str, str]:
    pairs = zip(route.path.split("/"), parts, strict=True)
    return {name[1:-1]: part for name, part in pairs if name[:1] == "{"}
