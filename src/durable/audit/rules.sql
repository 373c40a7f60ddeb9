-- Each query finds rows that must not be: an invocation's id, and what is wrong with it. The name begins with the
-- invariant. ?1 is the moment before which nothing that is due may still wait; NULL if no engine is running.

-- I2_outcome --
-- The status and the outcome are written by one statement.
SELECT id, CASE WHEN outcome IS NULL THEN 'it is completed, and its outcome is missing'
    ELSE 'it has an outcome, and is ' || status END
FROM invocation WHERE (status = 'completed') <> (outcome IS NOT NULL)

-- I8_two_holders --
-- Whoever has started on a key holds it.
SELECT id, 'it is ' || status || ', but another invocation stands before it in the line of key ' || service || '/' || key
FROM invocation AS one
WHERE place IS NOT NULL AND status IN ('ready', 'running', 'backing-off', 'suspended', 'paused') AND EXISTS (
    SELECT 1 FROM invocation AS other WHERE other.service = one.service AND other.key = one.key
    AND other.place IS NOT NULL AND other.status <> 'completed' AND other.place < one.place)

-- I8_same_place --
-- Which of them holds the key would depend on chance.
SELECT max(id), count(*) || ' invocations have place ' || place || ' in the line of key ' || service || '/' || key
FROM invocation WHERE place IS NOT NULL AND status <> 'completed' GROUP BY service, key, place HAVING count(*) > 1

-- I8_no_place --
-- It would run beside whoever holds the key.
SELECT id, 'it is ' || status || ', and has no place in the line of key ' || service || '/' || key
FROM invocation WHERE kind = 'exclusive' AND place IS NULL AND status NOT IN ('scheduled', 'completed')

-- I8_foreign_place --
-- It would hold the key, and nothing would free it.
SELECT id, 'it is ' || kind || ' and ' || status || ', and has a place in the line of a key of ' || service
FROM invocation WHERE place IS NOT NULL AND status <> 'completed' AND kind <> 'exclusive'

-- I9_no_time --
-- Nothing starts what has no time.
SELECT id, 'it is ' || status || ', and its time is missing' FROM invocation
WHERE status IN ('scheduled', 'backing-off') AND due_ms IS NULL

-- I9_awaits_nothing --
-- Nothing wakes what waits for nothing.
SELECT id, 'it is suspended, and waits for nothing' FROM invocation WHERE status = 'suspended' AND awaiting IS NULL

-- I9_held_back --
-- Only an exclusive invocation has a line to wait in.
SELECT id, 'it waits for its turn on a key, and is ' || kind FROM invocation
WHERE status = 'pending' AND kind <> 'exclusive'

-- I9_no_lane --
-- Nobody lets in what stands in no lane.
SELECT id, 'it is ready, and stands in no lane' FROM invocation WHERE status = 'ready' AND lane IS NULL

-- I9_foreign_lane --
-- It would count as waiting for ever.
SELECT id, 'it is ' || status || ', and stands in the lane ' || lane FROM invocation
WHERE lane IS NOT NULL AND status NOT IN ('ready', 'pending')

-- I9_overdue_start --
-- Of a running engine, whose timers are at most a moment late.
SELECT id, 'it is ' || status || ', and its time was ' || ((?1 - due_ms) / 1000) || ' seconds ago or more'
FROM invocation WHERE due_ms < ?1 AND due_ms IS NOT NULL AND status IN ('scheduled', 'backing-off')

-- I9_overdue_timer --
-- Likewise.
SELECT id, 'a timer of it has not fired, and was due ' || ((?1 - timer.due_ms) / 1000) || ' seconds ago or more'
FROM timer CROSS JOIN invocation USING (n) WHERE timer.due_ms < ?1

-- I13_status --
-- Nothing moves what has another one.
SELECT id, 'its status is ' || quote(status) || ', which none is' FROM invocation
WHERE status NOT IN ('scheduled', 'pending', 'ready', 'running', 'backing-off', 'suspended', 'paused', 'completed')

-- I13_expiry --
-- What is kept without an end is never forgotten; what is not completed must not be.
SELECT id, CASE WHEN status = 'completed' THEN 'it is completed, and no time is set to forget it'
    ELSE 'it is ' || status || ', and a time is set to forget it' END
FROM invocation WHERE (status = 'completed') <> (expires_ms IS NOT NULL)

-- I14_journal --
-- Damage: the invocation's row is gone, or its number is another. What it did may be read there, so it is kept.
SELECT 'journal of number ' || n, count(*) || ' pieces of a journal have no invocation'
FROM journal WHERE NOT EXISTS (SELECT 1 FROM invocation WHERE invocation.n = journal.n) GROUP BY n

-- I14_purged_journal --
-- The two are written by one transaction.
SELECT id, 'its journal was purged, and is there' FROM invocation
WHERE NOT journal_kept AND EXISTS (SELECT 1 FROM journal WHERE journal.n = invocation.n)

-- I15_row --
-- It has no checksum: neither column says anything else.
SELECT 'meta', 'its row says one = ' || quote(one) || ' and clean = ' || quote(clean) FROM meta
WHERE one <> 1 OR clean NOT IN (0, 1)

-- I16_times --
-- A minute: what a clock is set back by between two runs of an engine is not damage.
SELECT id, 'it was ' || CASE WHEN modified_ms < created_ms - 60000 THEN 'changed before it was accepted'
    WHEN failing_since_ms > modified_ms + 60000 THEN 'failing after it was last changed'
    ELSE 'to be forgotten before it was completed' END || '; the clock was set back, or the row is damaged'
FROM invocation WHERE modified_ms < created_ms - 60000 OR failing_since_ms > modified_ms + 60000
    OR expires_ms < modified_ms - 60000
