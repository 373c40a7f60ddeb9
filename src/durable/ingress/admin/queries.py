"""Query parameters of the admin routes. Pure."""

from __future__ import annotations

import re
from typing import Literal

from starlette.datastructures import QueryParams

from durable.ingress.refusal import Refusal

# Restate's index is 32 bits wide; no journal comes near.
_INDEX = re.compile(r"[0-9]{1,10}")
_MODES: dict[str, Literal["cancel", "kill", "purge"]] = {
    "Cancel": "cancel",
    "cancel": "cancel",
    "Kill": "kill",
    "kill": "kill",
    "Purge": "purge",
    "purge": "purge",
}


def from_entry(query: QueryParams) -> int:
    """The last journal entry that a restart keeps; 0, the input, unless the query says more."""
    text = only(query, "from")
    if text is None:
        return 0
    if not _INDEX.fullmatch(text):
        raise _bad("from", f"'{text[:50]}' is not the index of a journal entry")
    return int(text)


def mode(query: QueryParams) -> Literal["cancel", "kill", "purge"]:
    """What a DELETE means."""
    text = only(query, "mode")
    if text is None:
        return "cancel"
    if text not in _MODES:
        raise _bad("mode", f"'{text[:50]}' is none of Cancel, Kill and Purge")
    return _MODES[text]


def check_deployment(query: QueryParams) -> None:
    """Refuse another deployment than the only one there is, the code that runs: the latest, and the one to keep."""
    text = only(query, "deployment")
    if text is not None and text not in ("latest", "keep"):
        if not text.startswith("dp_"):
            raise _bad("deployment", "bad format")
        raise no_deployment()


def no_deployment() -> Refusal:
    return Refusal(400, "The given deployment was not found: there is one, the code that runs")


def only(query: QueryParams, name: str) -> str | None:
    """The parameter's value, if it is there; :class:`Refusal` if it is there twice."""
    values = query.getlist(name)
    if len(values) > 1:
        raise _bad(name, "it occurs more than once")
    return values[0] if values else None


def _bad(parameter: str, why: str) -> Refusal:
    return Refusal(400, f"The query parameter '{parameter}' is invalid. Reason: {why}")
