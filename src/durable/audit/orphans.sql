-- Rows that belong to nobody, by their keys: no journal asked for them, and no engine looks at them.

-- timer --
-- An invocation that completes takes its timers along.
SELECT due_ms, n, completion FROM timer
WHERE completion = 0 OR NOT EXISTS (SELECT 1 FROM invocation WHERE invocation.n = timer.n AND status <> 'completed')

-- suspect --
-- It is removed with its invocation; of one that has ended, a moment later.
SELECT n FROM suspect WHERE NOT EXISTS (SELECT 1 FROM invocation WHERE invocation.n = suspect.n)

-- waiter --
-- Of an invocation that has ended, or for a caller that has.
SELECT id, caller, completion FROM waiter
WHERE NOT EXISTS (SELECT 1 FROM invocation WHERE invocation.id = waiter.id AND status <> 'completed')
    OR NOT EXISTS (SELECT 1 FROM invocation WHERE invocation.id = waiter.caller AND status <> 'completed')

-- listener --
-- Of a promise that is completed, or for a caller that is.
SELECT service, key, name, caller, completion FROM listener
WHERE NOT EXISTS (SELECT 1 FROM invocation WHERE invocation.id = listener.caller AND status <> 'completed')
