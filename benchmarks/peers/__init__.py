"""Other engines, each in an environment of its own, doing the same three steps."""
