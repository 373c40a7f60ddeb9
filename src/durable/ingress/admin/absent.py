"""Routes of Restate's admin API that are not here, and why: whoever asks for one learns what to do instead. Pure."""

from __future__ import annotations

import re

_ABSENT = {
    r"/cluster-health": "there is one node, and GET /health says how it is",
    r"/deployments(/.*)?": "there is nothing to register, services are given to the engine when it is made",
    r"/subscriptions(/.*)?|/kafka-clusters(/.*)?": (
        "there is no Kafka, consume it where you like, and send each record with its topic, partition and offset "
        "as the idempotency key"
    ),
    r"/query": "there is no SQL over HTTP, GET /invocations/{id} tells what is known of one",
    r"/vqueues/.*": "there are no virtual queues, and GET /limits/usage says who waits for what",
    r"/internal/services/.*": "payloads are JSON or plain bytes, there is nothing to decode",
}
_WHY = [(re.compile(pattern), why) for pattern, why in _ABSENT.items()]


def why_absent(path: str) -> str:
    """The message for a path that is not served."""
    for pattern, why in _WHY:
        if pattern.fullmatch(path):
            return f"'{path[:200]}' is not served here: {why}"
    return f"'{path[:200]}' is not a path of the admin app: GET /openapi lists them"
