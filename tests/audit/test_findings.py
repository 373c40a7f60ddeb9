"""Damage of each kind, planted in a real file, and the finding that it must be."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from durable.audit import Audit, audit
from durable.audit.finding import INVARIANTS
from durable.audit.sweep import PAGE
from durable.core.entries import Completed, Signalled
from durable.core.invocation import Commit, Invocation, Status
from durable.core.outcome import Success
from durable.errors import StoreError
from tests.audit.planting import Planter
from tests.runtime.damage import Database, loosen, write_schema

Plant = Callable[[Planter], object]


def set_columns(what: str, assignments: str) -> Plant:
    """Past the checksums: whatever wrote this, SQL finds it."""
    return lambda planter: planter.execute(f"UPDATE invocation SET {assignments} WHERE id = :{what}")


def change(what: str, **fields: object) -> Plant:
    """With the right checksum: as a defect of the engine would write it."""
    return lambda planter: planter.write(changed(planter.invocation(what), **fields))


def execute(sql: str) -> Plant:
    return lambda planter: planter.execute(sql)


def changed(invocation: Invocation, **fields: object) -> Commit:
    commit = Commit()
    commit.change(msgspec.structs.replace(invocation, **fields))
    return commit


def answer_twice(planter: Planter) -> None:
    work, commit = planter.invocation("work"), Commit()
    commit.append(work.n, planter.length("work"), Completed(1, Success(b"again")))
    planter.write(commit)


def answer_nothing(planter: Planter) -> None:
    work, commit = planter.invocation("work"), Commit()
    commit.append(work.n, planter.length("work"), Completed(77, Success(b"")))
    planter.write(commit)


def tell_and_not_wake(planter: Planter) -> None:
    holder, length = planter.invocation("holder"), planter.length("holder")
    commit = changed(holder, entries=length + 1)
    commit.append(holder.n, length, Signalled("paid", Success(b'"ok"')))
    planter.write(commit)


def complete_promise(planter: Planter) -> None:
    commit = Commit()
    commit.promises["Approval", "victim", "answer"] = Success(b'"yes"')
    planter.write(commit)


def suspend_a_step(planter: Planter) -> None:
    """Restate's #5196: suspended while its own step is open."""
    journal = planter.length("work")
    commit = changed(planter.invocation("work"), awaiting=[9], entries=journal + 1)
    commit.append(planter.invocation("work").n, journal, planter.step(9))
    planter.write(commit)


def shrink_index(planter: Planter) -> None:
    """A row leaves the index, and the table keeps it."""
    planter.write(changed(planter.invocation("holder"), status=Status.RUNNING, awaiting=None))
    with closing(sqlite3.connect(planter.path, isolation_level=None)) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'invocation_running'").fetchone()
        write_schema(connection, {"invocation_running": sql.replace("status = 'running'", "status = 'nobody'")})
        connection.execute("REINDEX invocation_running")
        write_schema(connection, {"invocation_running": sql})


FINDINGS: dict[str, tuple[str, str, Plant]] = {
    "completed without outcome": ("I2", "its outcome is missing", set_columns("done", "outcome = NULL")),
    "outcome too early": ("I2", "it has an outcome, and is suspended", set_columns("work", "outcome = x'00'")),
    "second answer": ("I5", "a second answer to completion 1", answer_twice),
    "answer to nothing": ("I5", "answers completion 77, which nothing before it asks", answer_nothing),
    "piece of a journal lost": (
        "checksum",
        "the journal of invocation number .* is not what was written|the end of the journal",
        execute("DELETE FROM journal WHERE n = (SELECT n FROM invocation WHERE id = :work) AND position = 0"),
    ),
    "two holders": ("I8", "another invocation stands before it", change("pending", status=Status.RUNNING)),
    "one place twice": (
        "I8",
        "2 invocations have place",
        set_columns("pending", "place = (SELECT place FROM invocation WHERE id = :holder)"),
    ),
    "no place": ("I8", "has no place in the line", change("holder", place=None)),
    "a place for no line": ("I8", "it is service and suspended, and has a place", change("work", place=1)),
    "scheduled without a time": ("I9", "its time is missing", change("later", due_ms=None)),
    "backing off without a time": ("I9", "its time is missing", change("fail", due_ms=None)),
    "suspended for nothing": ("I9", "waits for nothing", change("work", awaiting=None)),
    "pending without a line": (
        "I9",
        "waits for its turn on a key, and is service",
        change("work", status=Status.PENDING),
    ),
    "first in line and not started": (
        "I9",
        "the first in the line of its key, and was not started",
        change("holder", status=Status.PENDING),
    ),
    "timer lost": ("I9", "there is no timer to wake it", execute("DELETE FROM timer")),
    "listener lost": ("I9", "not among those who will be told", execute("DELETE FROM listener")),
    "waiter lost": ("I9", "which will not tell it", execute("DELETE FROM waiter")),
    "callee detached": ("I9", "which will not tell it", change("called", detached=True)),
    "callee gone": ("I9", "which is not there", execute("DELETE FROM invocation WHERE id = :called")),
    "callee completed, caller not told": (
        "I9",
        "which is completed, and was not told",
        change("called", status=Status.COMPLETED, outcome=Success(b'"x"'), expires_ms=1 << 50),
    ),
    "promise completed, listener not told": (
        "I9",
        "promise 'answer' is completed, and it was not told",
        complete_promise,
    ),
    "signal came, nobody woken": ("I9", "it is suspended until signal 'paid' is there, which it is", tell_and_not_wake),
    "suspended on its own step": ("I9", "which only it can bring about", suspend_a_step),
    "suspended on nothing asked": ("I9", "which nothing in its journal asks for", change("work", awaiting=[55])),
    "unknown status": ("I13", "its status is 'lost'", set_columns("work", "status = 'lost'")),
    "kept for ever": ("I13", "no time is set to forget it", change("done", expires_ms=None)),
    "forgotten alive": ("I13", "it is suspended, and a time is set to forget it", change("work", expires_ms=5)),
    "missing from its index": ("I13", "the index holds 0 invocations, and the table 1", shrink_index),
    "journal without invocation": (
        "I14",
        "pieces of a journal have no invocation",
        execute("DELETE FROM invocation WHERE id = :work"),
    ),
    "purged journal there": ("I14", "its journal was purged, and is there", change("done", journal_kept=False)),
    "timer without invocation": (
        "I14",
        "table timer belongs to no invocation",
        execute("INSERT INTO timer VALUES (5, 4711, 1)"),
    ),
    "suspect without invocation": (
        "I14",
        "table suspect belongs to no invocation",
        execute("INSERT INTO suspect VALUES (4711, 1, 0, 0, 0, 1, 0)"),
    ),
    "timer without a sleep": (
        "I14",
        "which does not sleep until 5",
        execute("INSERT INTO timer SELECT 5, n, 1 FROM invocation WHERE id = :work"),
    ),
    "waiter without invocation": (
        "I14",
        "table waiter belongs to no invocation",
        execute("INSERT INTO waiter VALUES (zeroblob(16), :work, 1)"),
    ),
    "waiter that did not ask": ("I14", "and did not ask", execute("INSERT INTO waiter VALUES (:waits, :work, 1)")),
    "listener without invocation": (
        "I14",
        "table listener belongs to no invocation",
        execute("INSERT INTO listener VALUES ('Approval', 'victim', 'answer', zeroblob(16), 1)"),
    ),
    "listener that did not ask": (
        "I14",
        "is to be told of promise 'answer' as completion 9, and did not ask",
        execute("INSERT INTO listener VALUES ('Approval', 'victim', 'answer', :waits, 9)"),
    ),
    "caller gone": ("I14", "does not wait for it any more", execute("DELETE FROM invocation WHERE id = :call")),
    "secret flipped": ("I15", "the secret in the table meta", execute("UPDATE meta SET secret = zeroblob(36)")),
    "epoch lost": ("I15", "the epoch in the table meta", execute("UPDATE meta SET epoch = -1")),
    "changed before accepted": ("I16", "changed before it was accepted", change("work", modified_ms=5)),
    "expired before completed": ("I16", "forgotten before it was completed", change("done", expires_ms=5)),
    "input flipped": ("checksum", "the request of invocation", set_columns("work", "request = zeroblob(9)")),
    "row flipped": ("checksum", "the row of invocation", set_columns("work", "attempts = 99")),
    "state flipped": ("checksum", "state 'items' of Cart/victim", execute("UPDATE state SET value = x'39'")),
    "promise flipped": ("checksum", "promise 'answer'", execute("UPDATE promise SET outcome = x'00'")),
    "index gone": ("structure", "belongs to the schema, and is missing", execute("DROP INDEX invocation_due")),
    "foreign table": ("structure", "another program made it", execute("CREATE TABLE notes (x)")),
}


def test_what_an_engine_wrote_is_clean(database: Database) -> None:
    assert audit(database.path).findings == ()


@pytest.mark.parametrize("name", FINDINGS)
def test_planted_damage_is_found(planter: Planter, name: str) -> None:
    invariant, said, plant = FINDINGS[name]

    plant(planter)

    found = [each for each in audit(planter.path).findings if each.invariant == invariant]
    assert any(re.search(said, each.explanation) for each in found), audit(planter.path).findings


def test_every_invariant_is_planted() -> None:
    assert {invariant for invariant, _, _ in FINDINGS.values()} == INVARIANTS.keys()


def test_what_a_running_engine_should_have_done_by_now_is_found(planter: Planter) -> None:
    late = {each.explanation for each in audit(planter.path, overdue_ms=1 << 50).findings}

    assert len(late) >= 3
    assert any("a timer of it has not fired" in what for what in late)
    assert any("it is scheduled, and its time was" in what for what in late)


def test_an_audit_leaves_the_file_as_it_was(planter: Planter) -> None:
    before = planter.path.read_bytes()

    audit(planter.path)

    assert planter.path.read_bytes() == before


def test_a_page_that_cannot_be_read_hides_no_other_finding(planter: Planter) -> None:
    planter.execute("INSERT INTO timer VALUES (5, 4711, 1)")
    planter.overwrite_root("state")

    invariants = {each.invariant for each in audit(planter.path).findings}

    assert {"structure", "I14"} <= invariants


def test_keys_that_are_no_text_hide_no_row_behind_them(planter: Planter) -> None:
    """More than a page of them, so that one has to be behind which the next page begins."""
    with closing(sqlite3.connect(planter.path, isolation_level=None)) as connection:
        names = [(f"name {n}",) for n in range(PAGE + 1)]
        connection.executemany("INSERT INTO state VALUES ('A', CAST(x'ff' AS TEXT), ?, x'00', 0)", names)
    planter.execute("INSERT INTO state VALUES ('B', 'behind', 'name', x'00', 0)")

    subjects = [each.subject for each in audit(planter.path).findings if each.invariant == "checksum"]

    assert "state 'name' of B/behind" in subjects
    assert len(subjects) == len(set(subjects)) == PAGE + 2


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"no database " * 1000)

    with pytest.raises(StoreError, match="cannot be read: file is not a database"):
        audit(path)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        audit(tmp_path / "db")

    assert list(tmp_path.iterdir()) == []


def test_findings_are_text_for_people(planter: Planter) -> None:
    planter.execute("DELETE FROM timer")

    found: Audit = audit(planter.path)

    assert not found.clean
    assert re.match(r"I9 inv_1\w+: it sleeps until \d+, and there is no timer", str(found.findings[0]))


def test_a_row_of_another_type_is_found(planter: Planter) -> None:
    with closing(sqlite3.connect(planter.path, isolation_level=None)) as connection:
        schema = loosen(connection)
        connection.execute("UPDATE invocation SET attempts = 'junk' WHERE id = :work", planter.ids)
        write_schema(connection, schema)

    assert {each.invariant for each in audit(planter.path).findings} == {"structure", "checksum"}
