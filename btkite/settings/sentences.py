"""One clear sentence for each thing that can be wrong with a configuration.

A sentence names the key, what it must be, what it is (never for a secret) and where that was said.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

NEVER_STORED = frozenset(
    {"password", "passwd", "passphrase", "twofa", "two_fa", "2fa", "pin", "otp", "totp", "totp_secret", "totp_key"}
)


def did_you_mean(word: str, known: Iterable[str], where: str) -> str:
    """The sentence on an unknown key; ``where`` names the file or the variable."""
    known = list(known)
    last = word.rpartition(".")[2]
    # The right name in the wrong section says more than a name that merely looks alike.
    close = [key for key in known if key.rpartition(".")[2] == last and "." in key]
    close = close or difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    hint = f"; did you mean {' or '.join(close)}?" if close else "; docs/configuration.md lists all keys"
    return f"unknown key {word} ({where}){hint}"


def never_stored(key: str, where: str) -> str:
    """The sentence on a key that would hold what only a person may type."""
    return (
        f"{key} ({where}) must go: Kite's login is interactive, btkite never stores passwords, PINs or TOTP secrets; "
        f"run `btkite login`"
    )


def sentences(error: ValidationError, model: type[BaseModel], origins: Mapping[str, str]) -> list[str]:
    """A sentence for each failure, in the order of the keys."""
    found: dict[str, str] = {}
    for failure in error.errors(include_url=False, include_context=True):
        names = [part for part in failure["loc"] if isinstance(part, str)]
        path, field = _field(model, names)
        place = path + "".join(f"[{part}]" for part in failure["loc"] if isinstance(part, int))
        found.setdefault(place, _sentence(place, field, failure, origins.get(path, "the default")))
    return list(found.values())


def is_secret(field: FieldInfo | None) -> bool:
    """True if the value of this field must never be shown."""
    return field is not None and "SecretStr" in repr(field.annotation)


def _field(model: type[BaseModel], names: Sequence[str]) -> tuple[str, FieldInfo | None]:
    """The dotted path of a failure, without pydantic's marks for members of a union."""
    path: list[str] = []
    field: FieldInfo | None = None
    here: type[BaseModel] | None = model
    for name in names:
        if here is None or name not in here.model_fields:
            break
        path.append(name)
        field = here.model_fields[name]
        kind = field.annotation
        here = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return ".".join(path), field


def _sentence(place: str, field: FieldInfo | None, failure: Mapping[str, Any], origin: str) -> str:
    value = failure["input"]
    if field is not None and place.endswith("]") and failure["type"] == "string_type":
        return f"{place} must be text ({origin})"
    if field is None:
        return f"{place or 'the configuration'} is wrong: {failure['msg']} ({origin})"
    if failure["type"] == "value_error":
        must = str(failure["ctx"]["error"])
    else:
        out_of_bounds = failure["type"].startswith(("greater_than", "less_than"))
        must = f"must be {_bounds(field).strip() if out_of_bounds else demand(field)}"
    if is_secret(field) or isinstance(value, SecretStr) or ", it is " in must:
        return f"{place} {must} ({origin})"
    return f"{place} {must}, it is {_shown(value)} ({origin})"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a section"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union, or the type itself; ``Annotated`` peeled off."""
    if hasattr(annotation, "__metadata__"):
        return _members(get_args(annotation)[0])
    arguments = get_args(annotation)
    if arguments and get_origin(annotation) not in (Literal, tuple, list):
        return [member for argument in arguments for member in _members(argument)]
    return [annotation]


def demand(field: FieldInfo) -> str:
    """What a value of this field must be, as words: ``a number above 0 and at most 100, or null``."""
    words: list[str] = []
    for member in _members(field.annotation):
        if member is type(None):
            words.append("null")
        elif get_origin(member) is Literal:
            words.extend(str(choice) for choice in get_args(member))
        elif member is bool:
            words.append("true or false")
        elif member is int:
            words.append("a whole number" + _bounds(field))
        elif member is float:
            words.append("a number" + _bounds(field))
        elif get_origin(member) is tuple:
            words.append("a list of texts")
        elif getattr(member, "__name__", "") == "Path":
            words.append("a path")
        elif isinstance(member, type) and issubclass(member, BaseModel):
            words.append("a section of keys")
        else:
            words.append("text" if not _bounds(field) else "text that is not empty")
    if len(words) > 2:
        return "one of " + ", ".join(words)
    return " or ".join(words)


def _bounds(field: FieldInfo) -> str:
    low = high = ""
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Gt):
            low = f"above {_plain(bound.gt)}"
        elif isinstance(bound, annotated_types.Ge):
            low = f"at least {_plain(bound.ge)}"
        elif isinstance(bound, annotated_types.Le):
            high = f"at most {_plain(bound.le)}"
        elif isinstance(bound, annotated_types.MinLen):
            low = "not empty"
    both = " and ".join(word for word in (low, high) if word)
    return f" {both}" if both else ""


def _plain(number: Any) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
