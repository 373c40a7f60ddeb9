"""``durable doctor``: what it says, what it mends, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable import Engine
from durable.audit import audit
from durable.audit.finding import INVARIANTS
from durable.cli import main
from durable.cli.show import ADVICE
from durable.core.invocation import Commit, Status
from durable.core.outcome import Success
from tests.audit.planting import Planter
from tests.audit.test_findings import FINDINGS, changed
from tests.runtime.damage import Database

# What mends itself by other rows.
MENDED = {
    "suspect without invocation",
    "first in line and not started",
    "timer lost",
    "listener lost",
    "waiter lost",
    "callee detached",
    "callee completed, caller not told",
    "promise completed, listener not told",
    "signal came, nobody woken",
    "suspended on its own step",
    "suspended on nothing asked",
    "missing from its index",
    "timer without invocation",
    "timer without a sleep",
    "waiter without invocation",
    "waiter that did not ask",
    "listener without invocation",
    "listener that did not ask",
    "caller gone",
}


FAR = 1 << 50


def doctor(path: Path, *options: str) -> int:
    return main(["doctor", os.fspath(path), *options])


def test_a_clean_file_is_exit_code_0(planter: Planter, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(planter.path) == 0

    assert "no findings" in capsys.readouterr().out


@pytest.mark.parametrize("name", FINDINGS)
def test_every_finding_is_exit_code_1_and_comes_with_advice(
    planter: Planter, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    FINDINGS[name][2](planter)

    assert doctor(planter.path) == 1

    said = capsys.readouterr().out
    assert said.count("  do  ") == said.count("  must be  ") >= 1
    assert ("--repair" in said) == any(each.repairable for each in audit(planter.path).findings)


@pytest.mark.parametrize("name", sorted(MENDED))
async def test_what_follows_from_intact_rows_is_mended(
    database: Database, planter: Planter, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    FINDINGS[name][2](planter)
    before = {str(each) for each in audit(planter.path).findings}

    doctor(planter.path, "--repair")

    left = {str(each) for each in audit(planter.path).findings}
    assert left < before
    assert not any(FINDINGS[name][0] == each.partition(" ")[0] for each in left) or name == "caller gone"
    assert "mended: " in capsys.readouterr().out
    assert planter.path.with_name("db.unrepaired1").exists()


@pytest.mark.parametrize("name", sorted(FINDINGS.keys() - MENDED))
def test_what_does_not_is_left_as_it_was(planter: Planter, name: str) -> None:
    FINDINGS[name][2](planter)
    before = [each for each in audit(planter.path).findings if not each.repairable]

    assert doctor(planter.path, "--repair") == 1

    assert {str(each) for each in before} <= {str(each) for each in audit(planter.path).findings}


async def test_a_mended_database_goes_on_as_if_nothing_had_been(database: Database, planter: Planter) -> None:
    other = planter.path.with_name("intact")
    other.mkdir()
    intact, _ = await database.use(database.copy(other))
    for sql in ("DELETE FROM timer", "DELETE FROM listener", "DELETE FROM waiter"):
        planter.execute(sql)

    assert doctor(planter.path, "--repair") == 0

    assert await database.use(planter.path) == (intact, intact)


async def test_an_answer_that_was_lost_is_given(database: Database, planter: Planter) -> None:
    ended = changed(planter.invocation("called"), status=Status.COMPLETED, outcome=Success(b'"late"'), expires_ms=FAR)
    planter.write(ended)

    assert doctor(planter.path, "--repair") == 0

    victim, _ = await database.use(planter.path)
    assert "late" in victim["call"]


def test_two_findings_of_one_invocation_are_both_mended(planter: Planter) -> None:
    commit = Commit()
    commit.promises["Approval", "victim", "answer"] = Success(b'"yes"')
    planter.write(commit)
    planter.execute("DELETE FROM timer")
    planter.execute("DELETE FROM waiter")

    assert doctor(planter.path, "--repair") == 0


def test_what_the_last_round_mended_is_not_left(planter: Planter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable.audit.repair._ROUNDS", 1)
    planter.execute("DELETE FROM timer")

    assert doctor(planter.path, "--repair") == 0


def test_a_repair_fences_whoever_still_runs(planter: Planter) -> None:
    planter.execute("DELETE FROM timer")
    (before,) = planter.fetch("SELECT epoch FROM meta")

    doctor(planter.path, "--repair")

    assert planter.fetch("SELECT epoch FROM meta") == [(before[0] + 1,)]


async def test_beside_an_engine_it_looks_and_does_not_repair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "db"
    async with Engine(path):
        assert doctor(path) == 0
        assert doctor(path, "--repair") == 2

    assert f"process {os.getpid()}, which is this one, holds" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"no database " * 1000])
def test_what_cannot_be_read_is_exit_code_2(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "db"
    if content is not None:
        path.write_bytes(content)

    assert doctor(path) == 2
    assert doctor(path, "--repair") == 2

    said = capsys.readouterr()
    assert "durable doctor: " in said.err
    assert path.exists() == (content is not None)


def test_the_module_is_the_command(planter: Planter) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "durable", "doctor", planter.path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "no findings" in done.stdout


def test_without_a_command_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main([])

    assert exit.value.code == 2
    assert "usage: durable" in capsys.readouterr().err


def test_there_is_advice_for_every_invariant() -> None:
    assert ADVICE.keys() == INVARIANTS.keys()


def test_a_file_that_is_not_there_is_named_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(tmp_path / "x.db")]) == 2

    said = capsys.readouterr().err
    assert said.startswith("durable doctor: ")
    assert said.endswith("unable to open database file; name the database of an engine\n")
