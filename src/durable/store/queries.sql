-- begin_epoch --
-- The secret is made once, with the first epoch. A damaged moment of the last restore keeps nobody from opening.
UPDATE meta SET epoch = epoch + 1, clean = 0, secret = coalesce(secret, ?),
    restored_ms = CASE typeof(restored_ms) WHEN 'integer' THEN restored_ms END

-- end_epoch --
-- An engine that was replaced must not call the database of its successor clean.
UPDATE meta SET clean = 1 WHERE epoch = ?

-- meta --
-- What the opener must know.
SELECT epoch, clean, secret FROM meta

-- restored --
-- A million epochs on: no engine on another copy will ever have the same one. One that was never opened has no copy.
UPDATE meta SET restored_ms = ?, clean = 0, epoch = epoch + CASE WHEN epoch > 0 THEN 1000000 ELSE 0 END

-- restored_at --
-- NULL if it never was.
SELECT restored_ms FROM meta WHERE typeof(restored_ms) = 'integer'

-- epoch --
-- The fence, read inside every write transaction.
SELECT epoch FROM meta

-- last_n --
-- Numbers go on where they stopped, also those of rows that lost their invocation, and not at a damaged one's.
SELECT max(coalesce((SELECT max(n) FROM invocation WHERE n < 1 << 62), 0),
    coalesce((SELECT max(n) FROM journal WHERE n < 1 << 62), 0), coalesce((SELECT max(n) FROM timer WHERE n < 1 << 62), 0))

-- last_place --
-- Only the places of live invocations matter: the next one must come behind all of them.
SELECT coalesce(max(place), 0) FROM invocation
WHERE place IS NOT NULL AND place < 1 << 62 AND status <> 'completed'

-- accept --
-- A number or an id that is taken must fail the commit, so there is no OR REPLACE.
INSERT INTO invocation (n, id, service, key, handler, kind, created_ms, request, request_crc, status, place, due_ms,
    attempts, failing_since_ms, failure, awaiting, outcome, modified_ms, expires_ms, journal_expires_ms, journal_kept,
    detached, entries, lane, holds, crc)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- change --
-- A request never changes; its columns are left alone.
UPDATE invocation SET status = ?, place = ?, due_ms = ?, attempts = ?, failing_since_ms = ?, failure = ?, awaiting = ?,
    outcome = ?, modified_ms = ?, expires_ms = ?, journal_expires_ms = ?, journal_kept = ?, detached = ?, entries = ?,
    lane = ?, holds = ?, crc = ?
WHERE n = ?

-- append --
-- A position that is taken must fail the commit.
INSERT INTO journal (n, position, entries, crc) VALUES (?, ?, ?, ?)

-- set_state --
-- The last value counts.
INSERT INTO state (service, key, name, value, crc) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value, crc = excluded.crc

-- clear_state --
-- Clearing what was never set is no error.
DELETE FROM state WHERE service = ? AND key = ? AND name = ?

-- complete_promise --
-- Who may complete it first is decided in core; the last write counts.
INSERT INTO promise (service, key, name, outcome, crc) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET outcome = excluded.outcome, crc = excluded.crc

-- remove_promise --
-- For a workflow run whose retention is over.
DELETE FROM promise WHERE service = ? AND key = ? AND name = ?

-- set_timer --
-- Setting a timer twice is setting it once.
INSERT INTO timer (due_ms, n, completion) VALUES (?, ?, ?) ON CONFLICT DO NOTHING

-- remove_timer --
-- It fired, or its invocation ended.
DELETE FROM timer WHERE due_ms = ? AND n = ? AND completion = ?

-- set_waiter --
-- Attaching twice with one completion is attaching once.
INSERT INTO waiter (id, caller, completion) VALUES (?, ?, ?) ON CONFLICT DO NOTHING

-- remove_waiter --
-- It was answered.
DELETE FROM waiter WHERE id = ? AND caller = ? AND completion = ?

-- set_listener --
-- Like a waiter, of a promise.
INSERT INTO listener (service, key, name, caller, completion) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING

-- remove_listener --
-- It was answered.
DELETE FROM listener WHERE service = ? AND key = ? AND name = ? AND caller = ? AND completion = ?

-- set_limit --
-- The last one counts.
INSERT INTO flow_limit (pattern, body, crc) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET body = excluded.body, crc = excluded.crc

-- remove_limit --
-- What the code says counts again.
DELETE FROM flow_limit WHERE pattern = ?

-- set_rate --
-- Written with the start that it counts.
INSERT INTO rate (path, next_start_us, crc) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET next_start_us = excluded.next_start_us, crc = excluded.crc

-- remove_rate --
-- Its time has passed, and says nothing any more.
DELETE FROM rate WHERE path = ?

-- set_schedule --
-- The last value counts.
INSERT INTO schedule (id, schedule, crc) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET schedule = excluded.schedule, crc = excluded.crc

-- remove_schedule --
-- Its runs go on.
DELETE FROM schedule WHERE id = ?

-- purge_journal --
-- A purge takes everything that hangs off the number.
DELETE FROM journal WHERE n = ?

-- purge_timers --
-- Usually none: an invocation that completes takes its timers along.
DELETE FROM timer WHERE n = ?

-- purge_waiters --
-- They hang off the id; this must run while the invocation's row is still there.
DELETE FROM waiter WHERE id = (SELECT id FROM invocation WHERE n = ?)

-- purge_suspect --
-- Usually there is none. Also of one that is none any more.
DELETE FROM suspect WHERE n = ?

-- set_suspect --
-- The last verdict counts.
INSERT INTO suspect (n, deaths, alone, position, survived_ms, epoch, trial) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET deaths = excluded.deaths, alone = excluded.alone, position = excluded.position,
    survived_ms = excluded.survived_ms, epoch = excluded.epoch, trial = excluded.trial

-- purge_invocation --
-- Last of the purge.
DELETE FROM invocation WHERE n = ?

-- invocation --
-- By id, which is what the outside knows.
SELECT request_crc, crc, request, n, id, service, key, handler, kind, created_ms, status, place, due_ms, attempts,
    failing_since_ms, failure, awaiting, outcome, modified_ms, expires_ms, journal_expires_ms, journal_kept, detached,
    entries, lane, holds
FROM invocation WHERE id = ?

-- journal --
-- In the order in which it was written.
SELECT position, entries, crc FROM journal WHERE n = ? ORDER BY position

-- waiters --
-- Any fixed order will do.
SELECT caller, completion FROM waiter WHERE id = ? ORDER BY caller, completion

-- queue --
-- The first holds the key. Here and below, a row whose types are damaged is left alone.
SELECT place, id FROM invocation
WHERE service = ? AND key = ? AND place IS NOT NULL AND status <> 'completed' AND typeof(id) = 'blob' ORDER BY place

-- state --
-- All of a key: it is held in memory while the key is in use.
SELECT name, value, crc FROM state WHERE service = ? AND key = ? ORDER BY name

-- promises --
-- All of a workflow run.
SELECT name, outcome, crc FROM promise WHERE service = ? AND key = ? ORDER BY name

-- listeners --
-- Any fixed order will do.
SELECT name, caller, completion FROM listener WHERE service = ? AND key = ? ORDER BY name, caller, completion

-- running --
-- Without the hint the planner walks the whole table by n.
SELECT n, id FROM invocation INDEXED BY invocation_running
WHERE status = 'running' AND n > ? AND typeof(id) = 'blob' ORDER BY n LIMIT ?

-- ready --
-- A page of a lane.
SELECT n, id FROM invocation
WHERE lane = ? AND status = 'ready' AND n > ? AND typeof(id) = 'blob' ORDER BY n LIMIT ?

-- lanes --
-- How many wait in each.
SELECT lane, status, count(*) FROM invocation
WHERE lane IS NOT NULL AND status IN ('ready', 'pending') GROUP BY lane, status

-- holders --
-- Who keeps slots while it does not run.
SELECT n, id FROM invocation
WHERE holds = 1 AND status NOT IN ('running', 'completed') AND n > ? AND typeof(id) = 'blob' ORDER BY n LIMIT ?

-- limits --
-- All of them.
SELECT pattern, body, crc FROM flow_limit ORDER BY pattern

-- rates --
-- All of them: a few for each that started lately.
SELECT path, next_start_us, crc FROM rate

-- left --
-- All that a process which died may have died of. The journal's rows are found by their primary key.
SELECT n, id, coalesce((SELECT max(position) FROM journal WHERE journal.n = invocation.n), -1)
FROM invocation INDEXED BY invocation_running WHERE status = 'running' AND typeof(id) = 'blob' ORDER BY n

-- suspects --
-- Few, or none.
SELECT n, deaths, alone, position, survived_ms, epoch, trial FROM suspect

-- timers --
-- Two ordered indexes, merged: the limit ends the walk of both. CROSS JOIN keeps the timer's index outside.
SELECT timer.due_ms, timer.n, timer.completion, invocation.id FROM timer CROSS JOIN invocation USING (n)
WHERE (timer.due_ms, timer.n, timer.completion) > (?1, ?2, ?3)
    AND typeof(timer.due_ms) = 'integer' AND typeof(completion) = 'integer' AND typeof(id) = 'blob'
UNION ALL
SELECT due_ms, n, 0, id FROM invocation
WHERE due_ms IS NOT NULL AND status IN ('scheduled', 'backing-off')
    AND due_ms >= ?1 AND (due_ms, n, 0) > (?1, ?2, ?3) AND typeof(due_ms) = 'integer' AND typeof(id) = 'blob'
ORDER BY 1, 2, 3 LIMIT ?4

-- schedules --
-- All of them.
SELECT id, schedule, crc FROM schedule WHERE typeof(id) = 'text' ORDER BY id

-- expired --
-- The longest expired first, so that a limit starves none.
SELECT expires_ms AS since, n, id FROM invocation
WHERE expires_ms IS NOT NULL AND expires_ms <= ?1 AND typeof(id) = 'blob'
UNION ALL
SELECT journal_expires_ms, n, id FROM invocation
WHERE journal_expires_ms IS NOT NULL AND journal_expires_ms <= ?1 AND typeof(id) = 'blob'
ORDER BY 1, 2 LIMIT ?2
