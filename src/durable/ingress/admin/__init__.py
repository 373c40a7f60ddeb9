"""The administrator's HTTP door: an app of its own, so that it can listen where the ingress does not."""

from durable.ingress.admin.app import admin

__all__ = ["admin"]
