"""A copy of a database that can be opened, and the way back."""

from durable.backup.backup import backup
from durable.backup.restore import restore

__all__ = ["backup", "restore"]
