"""What happens when there is a lot of it: entries, sleepers, timers, callers, a queue, a file."""
