"""Durable execution for Python: write a function, survive the crash."""

from importlib import import_module
from typing import TYPE_CHECKING

from durable.batch import Batch
from durable.client import AwakeableRef, Client, Invocation
from durable.combinators import as_completed, first_success, gather, select, settled, wait
from durable.context import (
    Awakeable,
    Context,
    DurablePromise,
    ObjectContext,
    ObjectSharedContext,
    Sent,
    WorkflowContext,
    WorkflowSharedContext,
)
from durable.engine import Engine
from durable.errors import (
    AllFailedError,
    DiskFullError,
    DurableError,
    DurableTimeoutError,
    EngineStoppedError,
    InvocationCancelledError,
    InvocationNotReadyError,
    JournalMismatchError,
    PayloadError,
    QueueFullError,
    RetryableError,
    ScheduleNotFoundError,
    ScheduleStateError,
    StoreError,
    TerminalError,
)
from durable.flow import Limit, Rate
from durable.futures import CallFuture, DurableFuture
from durable.generic import generic
from durable.options import Options
from durable.retry import RetryPolicy
from durable.saga import Saga
from durable.schedules import ScheduleInfo, Schedules, schedule
from durable.service import Service, VirtualObject, Workflow, handler
from durable.singleton import Debounce
from durable.state import Promise, State
from durable.timetable import Timetable

if TYPE_CHECKING:
    from durable.http import HttpClient as HttpClient
else:

    def __getattr__(name):
        """``HttpClient``, only when it is asked for: its httpx comes with the extra ``client``."""
        if name == "HttpClient":
            return import_module("durable.http").HttpClient
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Without HttpClient: `from durable import *` has to work where httpx is not installed.
__all__ = [
    "AllFailedError",
    "Awakeable",
    "AwakeableRef",
    "Batch",
    "CallFuture",
    "Client",
    "Context",
    "Debounce",
    "DiskFullError",
    "DurableError",
    "DurableFuture",
    "DurablePromise",
    "DurableTimeoutError",
    "Engine",
    "EngineStoppedError",
    "Invocation",
    "InvocationCancelledError",
    "InvocationNotReadyError",
    "JournalMismatchError",
    "Limit",
    "ObjectContext",
    "ObjectSharedContext",
    "Options",
    "PayloadError",
    "Promise",
    "QueueFullError",
    "Rate",
    "RetryPolicy",
    "RetryableError",
    "Saga",
    "ScheduleInfo",
    "ScheduleNotFoundError",
    "ScheduleStateError",
    "Schedules",
    "Sent",
    "Service",
    "State",
    "StoreError",
    "TerminalError",
    "Timetable",
    "VirtualObject",
    "Workflow",
    "WorkflowContext",
    "WorkflowSharedContext",
    "as_completed",
    "first_success",
    "gather",
    "generic",
    "handler",
    "schedule",
    "select",
    "settled",
    "wait",
]
