"""What must be true of a database, whatever happened to it, and what is not true of this one. It changes nothing."""

from durable.audit.auditor import audit
from durable.audit.finding import Audit, Finding

__all__ = ["Audit", "Finding", "audit"]
