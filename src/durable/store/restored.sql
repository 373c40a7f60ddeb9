-- Version 2: a database that was made of a backup knows it.
ALTER TABLE meta ADD COLUMN restored_ms INTEGER;
