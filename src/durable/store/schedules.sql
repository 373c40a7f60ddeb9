-- Version 5: schedules. All of them are in an engine's memory while it is open.
CREATE TABLE schedule (
    id TEXT PRIMARY KEY,
    schedule BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
