-- Version 4: limits that were set while the engine ran, what their rates have used, and who waits for them.
ALTER TABLE invocation ADD COLUMN lane TEXT;
ALTER TABLE invocation ADD COLUMN holds INTEGER NOT NULL DEFAULT 0;

CREATE INDEX invocation_lane ON invocation (lane, status, n) WHERE lane IS NOT NULL;
CREATE INDEX invocation_holds ON invocation (n) WHERE holds = 1;

CREATE TABLE flow_limit (
    pattern TEXT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When the next start would be, if starts came evenly, in microseconds since 1970.
CREATE TABLE rate (
    path TEXT NOT NULL PRIMARY KEY,
    next_start_us INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
