"""The core works without httpx, and says what to install for the client."""

import subprocess
import sys

WITHOUT = "import sys; sys.modules['httpx'] = None\n"
HINT = "ImportError: durable.HttpClient needs httpx: pip install durable-engine[client]"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_the_package_does_not_import_httpx() -> None:
    done = python("import durable, durable.ingress, durable.testing, sys; assert 'httpx' not in sys.modules")

    assert done.returncode == 0, done.stderr


def test_everything_else_is_there_without_httpx() -> None:
    done = python(f"{WITHOUT}from durable import *; Engine, Client")

    assert done.returncode == 0, done.stderr


def test_the_client_says_what_to_install() -> None:
    for code in ("from durable import HttpClient", "import durable; durable.HttpClient", "import durable.http"):
        assert HINT in python(WITHOUT + code).stderr


def test_the_client_is_there_with_httpx() -> None:
    done = python("from durable import HttpClient; import durable.http; assert HttpClient is durable.http.HttpClient")

    assert done.returncode == 0, done.stderr


def test_other_names_are_not() -> None:
    assert "module 'durable' has no attribute 'Nope'" in python("import durable; durable.Nope").stderr
