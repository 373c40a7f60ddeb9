-- Version 1. Moments are milliseconds since 1970, UTC. A crc covers the key columns and the payload of its row. Rows
-- without one are compared with the journal that they belong to.
-- Rows hang off the growing integer n: random primary keys were measured to cost 3 to 10 times the log.

CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,  -- how often the database was opened; every transaction compares it
    clean INTEGER NOT NULL,  -- 0 while an engine holds the database, and after one that died
    secret BLOB  -- 32 random bytes, and their crc
) STRICT;

INSERT INTO meta (one, epoch, clean) VALUES (1, 0, 1);

-- request is the truth; service, key, handler and kind repeat it for queries.
CREATE TABLE invocation (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    service TEXT NOT NULL,
    key TEXT,
    handler TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    place INTEGER,
    due_ms INTEGER,
    attempts INTEGER NOT NULL,
    failing_since_ms INTEGER,
    failure BLOB,
    awaiting BLOB,  -- of a suspended one: what it waits for
    outcome BLOB,
    created_ms INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    journal_expires_ms INTEGER,
    journal_kept INTEGER NOT NULL,
    detached INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    request BLOB NOT NULL,
    request_crc INTEGER NOT NULL,  -- of the request, of what repeats it, and of created_ms: they never change
    crc INTEGER NOT NULL  -- of the rest
) STRICT;

-- Each serves one query of queries.sql, and holds only the rows that it can return.
CREATE INDEX invocation_queue ON invocation (service, key, place) WHERE place IS NOT NULL AND status <> 'completed';
CREATE INDEX invocation_running ON invocation (status) WHERE status = 'running';
CREATE INDEX invocation_due ON invocation (due_ms) WHERE due_ms IS NOT NULL AND status IN ('scheduled', 'backing-off');
CREATE INDEX invocation_expires ON invocation (expires_ms) WHERE expires_ms IS NOT NULL;
CREATE INDEX invocation_journal_expires ON invocation (journal_expires_ms) WHERE journal_expires_ms IS NOT NULL;

-- One row per commit: position counts the entries before it.
CREATE TABLE journal (
    n INTEGER NOT NULL,
    position INTEGER NOT NULL,
    entries BLOB NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (n, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE state (
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (service, key, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE promise (
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    outcome BLOB NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (service, key, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE listener (
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    caller BLOB NOT NULL,
    completion INTEGER NOT NULL,
    PRIMARY KEY (service, key, name, caller, completion)
) STRICT, WITHOUT ROWID;

CREATE TABLE waiter (
    id BLOB NOT NULL,
    caller BLOB NOT NULL,
    completion INTEGER NOT NULL,
    PRIMARY KEY (id, caller, completion)
) STRICT, WITHOUT ROWID;

CREATE TABLE timer (
    due_ms INTEGER NOT NULL,
    n INTEGER NOT NULL,
    completion INTEGER NOT NULL,
    PRIMARY KEY (due_ms, n, completion)
) STRICT, WITHOUT ROWID;

-- Without it every purge would read all timers.
CREATE INDEX timer_n ON timer (n);
