"""The three steps by everybody, interleaved, every commit synced: in process, and over HTTP."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

import msgspec

from benchmarks.load import Load
from benchmarks.over_http import FAST, three_steps_over_http
from benchmarks.peers import restate
from benchmarks.peers.embedded import dbos_on, dbos_on_sqlite, dbos_on_wal, unhinged
from benchmarks.peers.install import install
from benchmarks.rounds import Contestant, Measured, rounds
from benchmarks.scale import Scale
from benchmarks.table import Row, at_least, cell, markdown, missing
from benchmarks.workloads import on_engine, three_steps

POSTGRES = "BENCHMARK_POSTGRES"
"""The environment's name for the URL of a Postgres whose databases may be used, if there is one."""

OURS = "durable"
DBOS_WAL = "DBOS, SQLite, WAL"
RESTATE = "Restate, Python SDK"

ALONE, MANY = 1, 64

_IN_PROCESS: dict[str, Contestant] = {
    OURS: on_engine(three_steps),
    "DBOS, SQLite": dbos_on_sqlite,
    DBOS_WAL: dbos_on_wal,
    "Unhinged, SQLite": unhinged,
}
_OVER_HTTP: dict[str, Contestant] = {
    OURS: partial(three_steps_over_http, FAST),
    RESTATE: restate.three_steps,
}


class Peers(msgspec.Struct, frozen=True):
    in_process: dict[int, dict[str, Measured]]
    """By concurrency and name."""
    over_http: dict[int, dict[str, Measured]]


def measure(scale: Scale) -> Peers:
    install()
    url = os.environ.get(POSTGRES)
    postgres: dict[str, Contestant] = {"DBOS, Postgres": dbos_on(url)} if url else {}
    return Peers(_contest(_IN_PROCESS | postgres, scale), _contest(_OVER_HTTP, scale))


def _contest(contestants: Mapping[str, Contestant], scale: Scale) -> dict[int, dict[str, Measured]]:
    return {
        concurrency: rounds(contestants, Load(concurrency, scale.peer_seconds, scale.peer_warm_up), scale.peer_rounds)
        for concurrency in (ALONE, MANY)
    }


def rows(found: Peers | None) -> list[Row]:
    many = f"over HTTP, {MANY} at a time, to Restate with its Python SDK"
    alone = "over HTTP, alone: p50 of Restate with its Python SDK, to ours"
    dbos = f"in process, {MANY} at a time, to DBOS on SQLite (in WAL mode, its best)"
    if found is None:
        return [missing(what, target) for what, target in ((many, ">= 20"), (alone, ">= 8.0"), (dbos, ">= 100"))]
    http, process = found.over_http, found.in_process
    return [
        at_least(many, 20, http[MANY][OURS].rates_to(http[MANY][RESTATE]), "{:.0f}"),
        at_least(alone, 8, http[ALONE][RESTATE].times_to(http[ALONE][OURS]), "{:.1f}"),
        at_least(dbos, 100, process[MANY][OURS].rates_to(process[MANY][DBOS_WAL]), "{:.0f}"),
    ]


def details(found: Peers) -> str:
    lines = [
        [where, name, str(concurrency), cell(each.rate, "{:,.0f}"), cell(each.p50_ms), cell(each.p99_ms)]
        for where, loads in (("in process", found.in_process), ("HTTP", found.over_http))
        for concurrency, load in loads.items()
        for name, each in load.items()
    ]
    return markdown(["three steps", "by", "at a time", "per second", "p50 ms", "p99 ms"], lines)
