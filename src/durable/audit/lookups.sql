-- page --
-- The columns of the store's query "invocation"; they are put in there.
SELECT {columns} FROM invocation WHERE n > ? ORDER BY n LIMIT ?

-- first_place --
-- Who holds a key.
SELECT min(place) FROM invocation
WHERE service = ? AND key = ? AND place IS NOT NULL AND status <> 'completed'

-- timers_of --
-- By the number of their invocation.
SELECT due_ms, n, completion FROM timer WHERE n = ?

-- listeners_of --
-- A workflow listens on its own key only.
SELECT name, completion FROM listener WHERE service = ? AND key = ? AND caller = ?

-- promise_of --
-- One, if it is completed.
SELECT name, outcome, crc FROM promise WHERE service = ? AND key = ? AND name = ?

-- waits_for --
-- Whether the invocation will tell this caller.
SELECT 1 FROM waiter WHERE id = ? AND caller = ? AND completion = ?

-- state_page --
-- In the order of the primary key.
SELECT service, key, name, value, crc FROM state WHERE (service, key, name) > (?, ?, ?)
ORDER BY service, key, name LIMIT ?

-- promise_page --
-- Likewise.
SELECT service, key, name, outcome, crc FROM promise WHERE (service, key, name) > (?, ?, ?)
ORDER BY service, key, name LIMIT ?
