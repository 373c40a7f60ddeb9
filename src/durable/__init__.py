"""Durable execution for Python: write a function, survive the crash."""

from durable.client import AwakeableRef, Client, Invocation
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
    DurableError,
    DurableTimeoutError,
    EngineStoppedError,
    InvocationCancelledError,
    JournalMismatchError,
    PayloadError,
    RetryableError,
    StoreError,
    TerminalError,
)
from durable.futures import CallFuture, DurableFuture, gather, select
from durable.retry import RetryPolicy
from durable.saga import Saga
from durable.service import Service, VirtualObject, Workflow, handler
from durable.state import Promise, State

__all__ = [
    "Awakeable",
    "AwakeableRef",
    "CallFuture",
    "Client",
    "Context",
    "DurableError",
    "DurableFuture",
    "DurablePromise",
    "DurableTimeoutError",
    "Engine",
    "EngineStoppedError",
    "Invocation",
    "InvocationCancelledError",
    "JournalMismatchError",
    "ObjectContext",
    "ObjectSharedContext",
    "PayloadError",
    "Promise",
    "RetryPolicy",
    "RetryableError",
    "Saga",
    "Sent",
    "Service",
    "State",
    "StoreError",
    "TerminalError",
    "VirtualObject",
    "Workflow",
    "WorkflowContext",
    "WorkflowSharedContext",
    "gather",
    "handler",
    "select",
]
