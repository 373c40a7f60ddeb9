"""Where the ingress is mounted: the raw path below that point, undecoded. Pure."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from starlette.types import Scope

from durable.ingress.refusal import Refusal


def path_below(scope: Scope) -> bytes:
    """The raw path as the ingress has to read it, without the prefix of its mounts.

    Servers put a proxy's ``root_path`` in front of the path, test clients do not: both are understood.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    raw: bytes = scope.get("raw_path") or quote(path).encode()
    for prefix in (root, root.removeprefix(scope.get("app_root_path", ""))):
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            return _after(prefix, raw)
    return raw


def _after(prefix: str, raw: bytes) -> bytes:
    ends = [at for at, byte in enumerate(raw) if byte == ord("/")]
    for end in (*ends, len(raw)):
        # As servers decode it for the routers that matched the mount.
        if unquote_to_bytes(raw[:end]).decode("utf-8", "replace") == prefix:
            return raw[end:]
    # A router took an encoded slash for one that separates, and matched a mount that the raw path does not name.
    raise Refusal(400, "bad path: an encoded slash in the part that names the mount")
