"""A stateless MCP server (2026-07-28) over stdio for the tests of envmux-worker: each tool is one way to
behave. It answers by hand, so that a test sees the very bytes that reached it, and is pinned to an era by
its first message, as the SDKs' servers are."""

import json
import os
import sys
import time

VERSION = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
SUBSCRIPTION = PREFIX + "subscriptionId"

received = []  # every line, as it came
held = {}  # name -> request that is answered by "release"
cancelled = []
listeners = {}  # id -> filter
era = os.environ.get("BACKEND_ERA")  # "modern": it speaks no other
schemas = {"region": {"type": "object", "properties": {
    "region": {"type": "string", "x-mcp-header": "Region"},
    "count": {"type": "integer", "x-mcp-header": "Count"},
    "dry": {"type": "boolean", "x-mcp-header": "Dry"},
    "deep": {"type": "object", "properties": {"name": {"type": "string", "x-mcp-header": "Deep"}}}}}}


def write(message):
    sys.stdout.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
    sys.stdout.flush()


def result(request, **members):
    write({"jsonrpc": "2.0", "id": request["id"], "result": {"resultType": "complete"} | members})


def error(request, code, message="no", **data):
    write({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message, "data": data}})


def text(request, value):
    result(request, content=[{"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}])


def notify(method, **params):
    write({"jsonrpc": "2.0", "method": method, "params": params})


def hold(request, name):
    held[name] = request


def release(request, name, value="released"):
    text(held.pop(name), value)
    text(request, "done")


def progress(request, name, step, size=0):
    notify("notifications/progress", progressToken=held[name]["params"]["_meta"]["progressToken"], progress=step,
           **({"message": "x" * size} if size else {}))
    text(request, "done")


def steps(request, count=3):
    for step in range(count):
        notify("notifications/progress", progressToken=request["params"]["_meta"]["progressToken"], progress=step)
    text(request, "stepped")


def log(request, level="info", data="log"):
    notify("notifications/message", level=level, data=data)
    text(request, "logged")


def fail(request, code, data=None):
    error(request, code, **(data or {}))


def news(request, method, uri=None, tagged=True):
    """Tells the listeners, each tagged, or all by one message that is not."""
    wanted = {"notifications/tools/list_changed": "toolsListChanged",
              "notifications/resources/list_changed": "resourcesListChanged"}.get(method)
    params = {"uri": uri} if uri else {}
    if tagged:
        for id, filter in listeners.items():
            if filter.get(wanted) or uri in filter.get("resourceSubscriptions", []):
                notify(method, **params, _meta={SUBSCRIPTION: id})
    elif params:
        notify(method, **params)
    else:
        write({"jsonrpc": "2.0", "method": method})
    text(request, "told")


def end_listeners(request, by_result=False):
    for id in list(listeners):
        del listeners[id]
        if by_result:
            result({"id": id}, _meta={SUBSCRIPTION: id})
        else:
            notify("notifications/cancelled", requestId=id, reason="torn down")
    text(request, "ended")


def rounds(request):
    """Two rounds: asks once, and ends when its state comes back."""
    if "requestState" not in request["params"]:
        return result(request, resultType="input_required", requestState="state of " + str(os.getpid()),
                      inputRequests={"name": {"method": "elicitation/create", "params": {
                          "mode": "form", "message": "?", "requestedSchema": {"type": "object", "properties": {}}}}})
    text(request, {"state": request["params"]["requestState"], "inputs": request["params"].get("inputResponses"),
                   "pid": os.getpid()})


def task(request):
    result(request, resultType="task", taskId=f"task-{os.getpid()}", status="working", ttlMs=60000)


def ask(request):
    """What this revision does not have: a request of the server."""
    held["ask"] = request
    write({"jsonrpc": "2.0", "id": "server-1", "method": "sampling/createMessage", "params": {}})


def pages(request):
    text(request, [json.loads(line) for line in received if '"tools/list"' in line])


def rename(request, header):
    """The schema changes, and nobody is told."""
    schemas["region"]["properties"]["region"]["x-mcp-header"] = header
    text(request, "renamed")


def deaf(request):
    time.sleep(600)


TOOLS = {
    "echo": lambda request, **arguments: text(request, arguments),
    "region": lambda request, **arguments: text(request, arguments),
    "hold": hold, "release": release, "progress": progress, "steps": steps, "log": log, "fail": fail, "news": news,
    "end_listeners": end_listeners, "rounds": rounds, "task": task, "ask": ask, "pages": pages, "rename": rename,
    "big": lambda request, size: text(request, "z" * size), "deaf": deaf,
    "notify": lambda request, method, **params: (notify(method, **params), text(request, "notified")),
    "received": lambda request: text(request, received),
    "holding": lambda request: text(request, sorted(held)),
    "cancelled": lambda request: text(request, cancelled),
    "listening": lambda request: text(request, list(listeners.values())),
    "crash": lambda request: (print("last words", file=sys.stderr, flush=True), os._exit(3)),
    "pid": lambda request: text(request, os.getpid()),
}


def list_tools(request):
    """One tool a page. As BACKEND_TOOLS wants: not at all, or after the next notification."""
    if os.environ.get("BACKEND_TOOLS") == "none":
        return error(request, -32601)
    if os.environ.get("BACKEND_TOOLS") == "endless":
        return result(request, tools=[], nextCursor="more")
    if os.environ.get("BACKEND_TOOLS") == "slow" and "slow" not in held:
        return held.__setitem__("slow", request)
    names = sorted(TOOLS)
    at = int(request.get("params", {}).get("cursor", 0))
    tools = [{"name": names[at], "inputSchema": schemas.get(names[at], {"type": "object"})}]
    more = {"nextCursor": str(at + 1)} if at + 1 < len(names) else {}
    result(request, tools=tools, ttlMs=0, cacheScope="public", **more)


def listen(request):
    filter = request["params"].get("notifications", {})
    listeners[request["id"]] = filter
    notify("notifications/subscriptions/acknowledged", _meta={SUBSCRIPTION: request["id"]}, notifications=filter)


def call(request):
    try:
        TOOLS[request["params"]["name"]](request, **request["params"].get("arguments", {}))
    except (KeyError, TypeError) as fault:
        error(request, -32602, repr(fault))


def read(request):
    uri = request["params"]["uri"]
    if uri.startswith("hold:"):
        hold(request, uri)
    else:
        result(request, contents=[{"uri": uri, "text": "x"}])


METHODS = {
    "server/discover": lambda request: result(request, supportedVersions=[VERSION], capabilities={"tools": {}},
                                              serverInfo={"name": "backend", "version": "1"}),
    "tools/list": list_tools, "tools/call": call, "subscriptions/listen": listen,
    "resources/read": read,
    "prompts/get": lambda request: result(request, messages=[]),
    "tasks/get": lambda request: result(request, taskId=request["params"]["taskId"], status="completed"),
}


def handle(message):
    global era
    method, meta = message.get("method"), message.get("params", {}).get("_meta", {})
    if method == "notifications/cancelled":
        cancelled.append(message["params"]["requestId"])
        listeners.pop(message["params"]["requestId"], None)
    elif method is None and message.get("id") == "server-1":
        text(held.pop("ask"), message)
    elif method == "notifications/go":
        list_tools(held["slow"])
    elif "id" not in message:
        pass
    elif method == "initialize" and era != "modern":
        era = "legacy"
        result(message, protocolVersion="2025-11-25", capabilities={}, serverInfo={"name": "backend", "version": "1"})
    elif method == "initialize":
        error(message, -32022, supported=[VERSION])
    elif era == "legacy" and method in ("tools/call", "tools/list"):
        METHODS[method](message)
    elif era == "legacy" or meta.get(PREFIX + "protocolVersion") != VERSION or method not in METHODS:
        error(message, -32601)
    else:
        era = "modern" if method != "server/discover" else era
        METHODS[method](message)


for line in sys.stdin:
    received.append(line.rstrip("\n"))
    handle(json.loads(line))
