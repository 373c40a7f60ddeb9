"""Defects to plant, each with the promise that it breaks and the tests that must notice."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    name: str
    breaks: str
    file: str
    """Below ``src/durable``."""
    sound: str
    """Text that occurs in it once."""
    broken: str
    tests: tuple[str, ...]
    """Below ``tests``: the ones that should notice first."""


_REPLAY = "nothing is executed past a difference"
_DISK = "what is acknowledged is on the disk"
_ONE = "two engines do not share a file"
_DAMAGE = "damage is noticed"
_IDEMPOTENCY = "one idempotency key, one invocation"
_TIMER = "a timer fires once, and not early"
_KEY = "one writer per key"
_WAKE = "whoever waits is told"
_STATE = "a key has the state that was set last"
_STEP = "a step that is recorded does not run again"
_ROOM = "on a full disk nothing new is accepted"
_LIMIT = "no more run than a limit lets, and nobody waits for ever"
_SCHEDULE = "a schedule runs as often as its timetable says"
_COPY = "a copy is whole, of one moment, and not mistaken for the original"
_AUDIT = "an audit finds what must not be"
_KIT = "a test that should fail does"
_POISON = "who ends the process again and again is paused, and nobody else"

MUTANTS = (
    Mutant(
        "reply before commit", _DISK, "runtime/writer.py",
        "        if number <= self.durable:\n            return\n", "        return\n",
        ("runtime/test_writer.py", "runtime/test_stopped.py"),
    ),
    Mutant(
        "step before commit", _DISK, "runtime/writer.py",
        "        if number <= self.durable:\n            callback()", "        if number:\n            callback()",
        ("runtime/test_writer.py", "runtime/test_fsync.py"),
    ),
    Mutant(
        "outcome told before commit", _DISK, "runtime/outside.py",
        "self._kernel.writer.when(number, partial(self._tell, watchers, outcome))", "self._tell(watchers, outcome)",
        ("runtime/test_fsync.py", "runtime/test_stopped.py", "crash/test_shop.py"),
    ),
    Mutant(
        "reply after a failed commit", _DISK, "runtime/writer.py",
        "                self.fail(error)\n                return\n",
        "                self.durable = number\n                self._release()\n",
        ("runtime/test_writer.py",),
    ),
    Mutant(
        "full disk taken for a commit", _DISK, "runtime/writer.py",
        "                await self._pause(pause_ms)\n", "                return\n",
        ("runtime/test_full.py",),
    ),
    Mutant(
        "work accepted on a full disk", _ROOM, "runtime/outside.py",
        "        self._check_room()\n        now_ms", "        now_ms",
        ("runtime/test_full.py",),
    ),
    Mutant(
        "waits left on a full disk", _ROOM, "runtime/outside.py",
        "for watcher in (*self._told, *untold):", "for watcher in ():",
        ("runtime/test_full.py",),
    ),
    Mutant(
        "synchronous=NORMAL", _DISK, "store/connection.py", '"power": ("FULL", 2)', '"power": ("NORMAL", 1)',
        ("store/test_sqlite.py",),
    ),
    Mutant(
        "directory not synced", _DISK, "store/database.py", "        sync_directory(self._path.parent)\n", "",
        ("store/test_sqlite.py",),
    ),
    Mutant(
        "recovered log not moved", _DISK, "store/database.py", 'if self._checkpoint("TRUNCATE"):', "if False:",
        ("store/test_sqlite.py",),
    ),
    Mutant(
        "commit after an error", "never half a transaction", "store/connection.py",
        'connection.execute("ROLLBACK")', 'connection.execute("COMMIT")',
        ("store/test_contract.py", "store/test_damage.py"),
    ),
    Mutant(
        "no transaction", "never half a transaction", "store/connection.py",
        '        connection.execute("BEGIN IMMEDIATE")\n        yield\n        connection.execute("COMMIT")\n',
        "        yield\n",
        ("store/test_contract.py", "store/test_sqlite.py"),
    ),
    Mutant(
        "further commits after a failed one", _DISK, "store/database.py",
        "        if self._failure is not None:\n            raise", "        if False:\n            raise",
        ("store/test_files.py", "store/test_contract.py"),
    ),
    Mutant(
        "foreign hands not noticed", _ONE, "store/database.py", "        self._files.verify()\n", "",
        ("store/test_files.py",),
    ),
    Mutant(
        "replaced file adopted", _ONE, "store/files.py",
        "            _verify_identity(file, left, found[file])\n", "            pass\n",
        ("store/test_files.py",),
    ),
    Mutant(
        "epoch not compared", _ONE, "store/database.py", "if epoch != self._epoch:", "if False:",
        ("store/test_contract.py", "store/test_fences.py"),
    ),
    Mutant(
        "pid not compared", _ONE, "store/lock.py", "if self._pid != os.getpid():", "if False:",
        ("store/test_fences.py",),
    ),
    Mutant(
        "shared lock", _ONE, "store/lock.py", "fcntl.LOCK_EX", "fcntl.LOCK_SH",
        ("store/test_fences.py",),
    ),
    Mutant(
        "lock kept by children", _ONE, "store/lock.py",
        "os.register_at_fork(after_in_child=_close_in_child)", "",
        ("store/test_fences.py",),
    ),
    Mutant(
        "journal checksum ignored", _DAMAGE, "store/rows.py",
        "position == len(entries) and crc == _crc(raw, n, position)", "position == len(entries)",
        ("store/test_damage.py", "runtime/test_damage.py"),
    ),
    Mutant(
        "state checksum ignored", _DAMAGE, "store/rows.py",
        "_verify(crc == _crc(value, *instance, name), what)", "_verify(True, what)",
        ("store/test_damage.py", "runtime/test_damage.py"),
    ),
    Mutant(
        "lost end of a journal ignored", _DAMAGE, "store/rows.py",
        "_verify(len(entries) >= length, ", "_verify(True, ",
        ("store/test_damage.py", "runtime/test_damage.py"),
    ),
    Mutant(
        "purge leaves the journal", "no row is left without its owner", "store/rows.py",
        '("journal", "timers", "waiters", "suspect", "invocation")', '("timers", "waiters", "suspect", "invocation")',
        ("store/test_contract.py", "store/test_agreement.py"),
    ),
    Mutant(
        "idempotency key not recorded", _IDEMPOTENCY, "runtime/outside.py",
        "derived_id(request.target, request.idempotency_key, request.identity, workflow=workflow)",
        "derived_id(request.target, None, request.identity, workflow=workflow)",
        ("runtime/test_lookup.py", "ingress/test_engine.py"),
    ),
    Mutant(
        "idempotency key of everybody", _IDEMPOTENCY, "core/invocation.py",
        '("identity", identity)', '("anonymous",)',
        ("core/test_invocation.py", "ingress/test_identity.py"),
    ),
    Mutant(
        "another input under one key", _IDEMPOTENCY, "runtime/outside.py",
        "lifecycle.differs(known, request)", "False",
        ("runtime/test_semantics.py", "ingress/test_engine.py", "test_client.py"),
    ),
    Mutant(
        "key released on suspension", _KEY, "core/lifecycle.py",
        "awaiting=awaited_slots(resident), modified_ms=now_ms)\n",
        "awaiting=awaited_slots(resident), modified_ms=now_ms)\n"
        "    if resident.invocation.place is not None:\n        _leave(ledger, resident.invocation, now_ms)\n",
        ("core/test_lifecycle.py", "runtime/test_semantics.py", "runtime/test_everywhere.py"),
    ),
    Mutant(
        "key never released", _KEY, "core/lifecycle.py",
        "    if invocation.place is not None:\n        _leave(", "    if False:\n        _leave(",
        ("core/test_lifecycle.py",),
    ),
    Mutant(
        "key for all at once", _KEY, "core/keylock.py", "return len(self._queue) == 1", "return True",
        ("core/test_keylock.py",),
    ),
    Mutant(
        "last come first served", _KEY, "core/keylock.py", "self._queue.append(id)", "self._queue.insert(1, id)",
        ("core/test_lifecycle.py", "core/test_keylock.py"),
    ),
    Mutant(
        "replay off by one", _REPLAY, "core/journal.py",
        "index, recorded = self._commands[self._cursor]", "index, recorded = self._commands[self._cursor - 1]",
        ("core/test_journal.py",),
    ),
    Mutant(
        "replay not compared", _REPLAY, "core/journal.py", " or not recorded.matches(command)", "",
        ("core/test_journal.py",),
    ),
    Mutant(
        "early end not noticed", _REPLAY, "core/journal.py",
        "        if self.replaying:\n            raise Divergence", "        if False:\n            raise Divergence",
        ("core/test_journal.py",),
    ),
    Mutant(
        "second answer counts", "the first completion counts", "core/ledger.py",
        "            if slot in resident.answered:\n                return False\n", "",
        ("core/test_ledger.py", "core/test_lifecycle.py", "runtime/test_semantics.py"),
    ),
    Mutant(
        "promise completed twice", "the first completion counts", "core/ledger.py",
        "        instance.promises[name] = outcome\n", "",
        ("core/test_commands.py", "runtime/test_semantics.py"),
    ),
    Mutant(
        "timer fires twice", _TIMER, "core/lifecycle.py",
        "        ledger.disarm(timer)\n        _awake", "        _awake",
        ("core/test_lifecycle.py", "runtime/test_semantics.py", "runtime/test_everywhere.py"),
    ),
    Mutant(
        "timer fires early", _TIMER, "core/timers.py",
        "next_ms <= now_ms:", "next_ms <= now_ms + 1_000:",
        ("core/test_timers.py",),
    ),
    Mutant(
        "timer lost while others are read", _TIMER, "core/window.py",
        "self._late = self._late or [], None", "self._late = [], None",
        ("core/test_timers.py",),
    ),
    Mutant(
        "clock goes back", _TIMER, "runtime/clock.py", "if ahead_ns > self._ahead_ns:", "if True:",
        ("runtime/test_clock.py",),
    ),
    Mutant(
        "wake-up lost", _WAKE, "core/lifecycle.py", "ledger.effects.append(Wake(resident, entry))", "pass",
        ("core/test_lifecycle.py", "runtime/test_semantics.py"),
    ),
    Mutant(
        "suspended for ever", _WAKE, "core/lifecycle.py",
        "    elif status is Status.SUSPENDED:\n        start(", "    elif False:\n        start(",
        ("core/test_lifecycle.py", "runtime/test_entries.py"),
    ),
    Mutant(
        "caller not answered", _WAKE, "core/lifecycle.py",
        "            answer(ledger, caller, outcome, now_ms)\n", "            pass\n",
        ("core/test_lifecycle.py",),
    ),
    Mutant(
        "cancellation waits for the back-off", _WAKE, "core/lifecycle.py",
        "in (Status.PAUSED, Status.BACKING_OFF):\n            start", "in (Status.PAUSED,):\n            start",
        ("core/test_lifecycle.py", "runtime/test_cancel.py"),
    ),
    Mutant(
        "recovery starts nothing", "accepted work is carried on", "runtime/recovery.py",
        "            lifecycle.recover(self._kernel.ledger, resident, self._kernel.clock.now_ms())\n", "",
        ("runtime/test_replay.py", "crash/test_shop.py"),
    ),
    Mutant(
        "a death alone is not counted", _POISON, "core/suspects.py",
        "alone + (trial == 1)", "alone",
        ("core/test_suspects.py",),
    ),
    Mutant(
        "whoever was not tried is blamed as if", _POISON, "core/suspects.py",
        "deaths = max(deaths, min(deaths + 1, TRIED_FROM))", "deaths += 1",
        ("core/test_suspects.py",),
    ),
    Mutant(
        "progress does not acquit", _POISON, "core/suspects.py",
        "if before is None or before.position != left.position:", "if before is None:",
        ("core/test_suspects.py",),
    ),
    Mutant(
        "forged awakeable id", "an awakeable id cannot be computed", "core/ids.py",
        "if not hmac.compare_digest(raw, _place(id) + _proof(secret, id)):", "if False:",
        ("core/test_ids.py",),
    ),
    Mutant(
        "timer goes without a word", _TIMER, "core/lifecycle.py",
        "        ledger.disarm(timer)\n        _awake(ledger, resident, timer.completion, now_ms)\n",
        "        ledger.disarm(timer)\n",
        ("core/test_lifecycle.py",),
    ),
    Mutant(
        "key kept by the killed", _KEY, "core/control.py",
        "        end(ledger, each, KILLED, now_ms)\n",
        "        if lifecycle.waits_to_start(each.invocation):\n            end(ledger, each, KILLED, now_ms)\n"
        "        else:\n"
        "            ledger.change(each, status=Status.COMPLETED, outcome=KILLED, modified_ms=now_ms)\n",
        ("core/test_control.py", "runtime/test_control.py"),
    ),
    Mutant(
        "keys compared without their case", _KEY, "core/invocation.py",
        'return target.service, target.key or ""', 'return target.service, (target.key or "").lower()',
        ("core/test_invocation.py", "ingress/test_paths.py", "runtime/test_hostile.py"),
    ),
    Mutant(
        "nothing taken for absent", _STATE, "state.py",
        "self._make_default() if raw is None else", "self._make_default() if not raw else",
        ("test_misuse.py",),
    ),
    Mutant(
        "writes seen before they are decided", _STATE, "runtime/attempt.py",
        "return instance.state if resident.invocation.request.kind is Kind.SHARED else dict(instance.state)",
        "return instance.state",
        ("runtime/test_semantics.py", "runtime/test_everywhere.py", "runtime/test_replay.py"),
    ),
    Mutant(
        "child not cancelled", "a cancellation reaches whoever was called", "runtime/attempt.py",
        "                self._issue(e.SendSignal(child, CANCEL, Success()))\n", "                pass\n",
        ("runtime/test_cancel.py",),
    ),
    Mutant(
        "suspended beside an open step", _STEP, "runtime/attempt.py",
        "return not self.steps and self._blocked", "return self._blocked",
        ("runtime/test_resting.py", "runtime/test_replay.py", "runtime/test_everywhere.py"),
    ),
    Mutant(
        "recorded step runs again", _STEP, "runtime/attempt.py",
        "        if self.journal.notified(completion) is None:\n            step = Step(",
        "        if True:\n            step = Step(",
        ("runtime/test_replay.py", "runtime/test_everywhere.py"),
    ),
    Mutant(
        "what a load reveals not loaded", _WAKE, "runtime/residency.py",
        "            while wanted := self._pin():", "            if wanted := self._pin():",
        ("runtime/test_everywhere.py",),
    ),
    Mutant(
        "slot kept by who ended", _LIMIT, "core/admission.py",
        "            self._release(after.id, keep=False)\n", "            pass\n",
        ("core/test_admission.py",),
    ),
    Mutant(
        "held slot given back on suspension", _LIMIT, "core/admission.py",
        "if keep and (kept := tuple(meter for meter in freed if meter.limit.hold)):", "if False and (kept := ()):",
        ("core/test_admission.py",),
    ),
    Mutant(
        "who waits is overtaken", _LIMIT, "core/admission.py",
        "any(meter.queued or meter.blocks_before(mode) for meter in lane.meters)", "False",
        ("core/test_admission.py",),
    ),
    Mutant(
        "queue without an end", _LIMIT, "core/admission.py",
        "            if meter.queue_full:\n", "            if False:\n",
        ("core/test_admission.py", "runtime/test_limits.py"),
    ),
    Mutant(
        "run that should be skipped", _SCHEDULE, "core/schedule.py",
        'if not cancels and (waits or to_cancel(schedule)):', "if False:",
        ("core/test_schedule.py",),
    ),
    Mutant(
        "runs that overlap", _SCHEDULE, "core/schedule.py",
        "waits = schedule.under_way and", "waits = False and",
        ("core/test_schedule.py",),
    ),
    Mutant(
        "pause that is caught up", _SCHEDULE, "core/schedule.py",
        "paused=False, seen_ms=max(now_ms, schedule.seen_ms))", "paused=False)",
        ("core/test_schedule.py",),
    ),
    Mutant(
        "backup without a snapshot", _COPY, "backup/copy.py", '        reader.execute("BEGIN")\n', "",
        ("backup/test_backup.py",),
    ),
    Mutant(
        "copy not synced", _COPY, "store/copy.py", "        _sync(path)\n", "",
        ("crash/test_copies.py",),
    ),
    Mutant(
        "name of a copy not synced", _COPY, "store/copy.py", "        sync_directory(target.parent)\n", "",
        ("crash/test_copies.py",),
    ),
    Mutant(
        "restored like the original", _COPY, "backup/restore.py", "            _mark(unfinished)\n", "",
        ("backup/test_restore.py",),
    ),
    Mutant(
        "orphans not looked for", _AUDIT, "audit/auditor.py",
        "yield partial(_orphans, reader, name, sql)", "continue",
        ("audit/test_findings.py",),
    ),
    Mutant(
        "damaged invocations passed over", _AUDIT, "audit/sweep.py",
        '        yield found("checksum", subject, str(error))\n        return\n', "        return\n",
        ("audit/test_findings.py", "audit/test_flips.py"),
    ),
    Mutant(
        "model that takes any answer", _KIT, "testing/model.py", "explains = all(", "explains = any(",
        ("testing/test_model.py",),
    ),
    Mutant(
        "fault that is never used up", _KIT, "testing/faults.py", "faults.pop(0)(", "faults[0](",
        ("testing/test_faults.py",),
    ),
    Mutant(
        "replay that need not come to the end", _KIT, "testing/replay.py",
        "    if walker.journal.replaying:\n", "    if False:\n",
        ("testing/test_replay.py",),
    ),
)  # fmt: skip

OFTEN = (
    "outcome told before commit", "reply after a failed commit", "full disk taken for a commit", "synchronous=NORMAL",
    "commit after an error", "epoch not compared", "journal checksum ignored",
    "idempotency key of everybody", "key never released", "last come first served", "key kept by the killed",
    "replay not compared", "second answer counts", "timer fires twice", "timer lost while others are read",
    "wake-up lost", "caller not answered", "recovery starts nothing", "recorded step runs again",
    "forged awakeable id", "held slot given back on suspension", "run that should be skipped",
    "restored like the original", "orphans not looked for", "fault that is never used up",
)  # fmt: skip
"""Names of those that each run of the tests plants: of each promise some that are noticed within seconds."""
