-- Version 3: who was running when a process died, and may have killed it. Written only when a database is opened after
-- one that did not close it. A row without sense counts as none.
CREATE TABLE suspect (
    n INTEGER PRIMARY KEY,
    deaths INTEGER NOT NULL,  -- in a row, while it ran and its journal did not grow
    alone INTEGER NOT NULL,  -- of them, while nothing else ran
    position INTEGER NOT NULL,  -- of the last piece of its journal then
    survived_ms INTEGER NOT NULL,  -- how long it had run before the last one, at least
    epoch INTEGER NOT NULL,  -- of the engine that wrote this row
    trial INTEGER NOT NULL  -- in that engine: how many were tried with it, itself included; 0 if it was not tried
) STRICT;
