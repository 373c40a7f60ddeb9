"""What moves: the clock, the group commit, attempts and the invoker that runs them."""
