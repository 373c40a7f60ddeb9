"""The client that calls handlers over HTTP. The one room that needs httpx, which only the extra ``client`` installs."""

try:
    from durable.http.client import HttpClient
    from durable.http.errors import NotOverHttpError, OutcomeTimeoutError, UnansweredError
except ModuleNotFoundError as error:
    if error.name != "httpx":
        raise
    raise ImportError("durable.HttpClient needs httpx: pip install durable-engine[client]") from error

__all__ = ["HttpClient", "NotOverHttpError", "OutcomeTimeoutError", "UnansweredError"]
