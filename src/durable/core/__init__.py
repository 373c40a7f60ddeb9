"""The engine without I/O: no await, no clock, no disk, no randomness. It is given ``now``, ids and bytes."""
