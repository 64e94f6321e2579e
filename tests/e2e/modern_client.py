"""Requests of MCP 2026-07-28 to a worker's socket: every one stands alone, ids begin at 0 for each client."""

import json
import pathlib
import re
import sys

import pytest

import worker_harness as wh

BACKEND = pathlib.Path(__file__).resolve().with_name("modern_backend.py")
COMMAND = [sys.executable, str(BACKEND)]
VERSION = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
SUBSCRIPTION = PREFIX + "subscriptionId"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId"}


@pytest.fixture
def start(tmp_path_factory):
    """Starts workers, in front of modern_backend.py unless told otherwise."""
    workers = []

    def make(command=COMMAND, **options):
        workers.append(wh.Worker(tmp_path_factory.mktemp("w"), command, **options))
        return workers[-1]

    yield make
    for made in workers:
        made.close()
    for made in workers:
        assert not re.search("Sanitizer|runtime error", made.stderr()), made.stderr()


@pytest.fixture
def worker(start):
    return start()


def reason(message):
    return message["error"]["data"]["envmux"]["reason"]


def envelope(**more):
    meta = {PREFIX + "protocolVersion": VERSION, PREFIX + "clientCapabilities": {},
            PREFIX + "clientInfo": {"name": "test", "version": "1"}}
    return meta | more


def request(method, params=None, id=0, meta=None):
    """A whole request with its headers."""
    params = dict(params or {})
    params["_meta"] = envelope(**(meta or {}))
    headers = {"MCP-Protocol-Version": VERSION, "Mcp-Method": method}
    if NAMED.get(method) in params:
        headers["Mcp-Name"] = params[NAMED[method]]
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}, headers


def begin(worker, method, params=None, id=0, meta=None, headers=None):
    body, own = request(method, params, id, meta)
    return worker.begin("POST", "/mcp", json.dumps(body), wh.POST_HEADERS | own | (headers or {}))


def send(worker, method, params=None, **options):
    return worker.finish(begin(worker, method, params, **options))


def begin_tool(worker, tool, /, id=0, meta=None, headers=None, **arguments):
    return begin(worker, "tools/call", {"name": tool, "arguments": arguments}, id, meta, headers)


def call(worker, tool, /, **options):
    return worker.finish(begin_tool(worker, tool, **options))


def tool(worker, name, /, **arguments):
    """The text of a tool's answer, read as JSON where it is."""
    answer = call(worker, name, **arguments)
    value = answer.message()["result"]["content"][0]["text"]
    try:
        return json.loads(value)
    except ValueError:
        return value


class Listener:
    """An open subscriptions/listen."""

    def __init__(self, worker, id=0, **filter):
        self.answer = send(worker, "subscriptions/listen", {"notifications": filter}, id=id)
        self.first = self.answer.event()

    def event(self):
        return self.answer.event()

    def close(self):
        self.answer.close()
