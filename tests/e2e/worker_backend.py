"""An MCP server over stdio for the tests of envmux-worker: each tool is one way to behave.

Reads lines one at a time, keeps what it read (tool "received") and answers by hand, so that a test
sees the very bytes that reached it."""

import json
import os
import signal
import subprocess
import sys
import time

received = []  # every line, as it came
held = {}  # name -> request that is answered by "release"
cancelled = []


def write(message):
    sys.stdout.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
    sys.stdout.flush()


def result(request, value):
    write({"jsonrpc": "2.0", "id": request["id"], "result": value})


def text(request, value):
    result(request, {"content": [{"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}]})


def notify(method, **params):
    write({"jsonrpc": "2.0", "method": method, "params": params})


def progress_token(request):
    return request["params"].get("_meta", {}).get("progressToken")


def hold(request, name):
    held[name] = request


def release(request, name, value="released"):
    text(held.pop(name), value)
    text(request, "done")


def progress(request, name, step, count=1, size=0):
    """Progress on the held request of that name."""
    for i in range(count):
        notify("notifications/progress", progressToken=progress_token(held[name]), progress=step + i,
               **({"message": "x" * size} if size else {}))
    text(request, "done")


def ask(request, method="sampling/createMessage"):
    """Asks the client and answers with its answer."""
    held["ask"] = request
    write({"jsonrpc": "2.0", "id": "server-1", "method": method, "params": {"n": 1}})


def unask(request):
    notify("notifications/cancelled", requestId="server-1", reason="not needed")
    text(request, "done")


def crash(request, code=3, words="last words"):
    print(words, file=sys.stderr, flush=True)
    os._exit(code)


def die_by(request, number):
    os.kill(os.getpid(), number)


def flood(request, lines=20000):
    """Fills both outputs far beyond what their pipes hold."""
    for i in range(lines):
        sys.stderr.write(f"stderr line {i} {'x' * 60}\n")
        sys.stdout.write(f"stray line {i} {'y' * 60}\n")
    sys.stderr.flush()
    text(request, "flooded")


def big(request, size):
    text(request, "z" * size)


def log(request, count=1):
    for i in range(count):
        notify("notifications/message", level="info", data=f"log {i}")
    text(request, "logged")


def log_long(request, size):
    notify("notifications/message", level="info", data="x" * size)
    text(request, "logged")


def log_later(request, count, size):
    """Says what belongs to no call."""
    text(request, "done")
    for i in range(count):
        notify("notifications/message", level="info", data=f"later {i} {'x' * size}")


def news(request):
    text(request, "done")
    notify("notifications/tools/list_changed")


def raw(request, line):
    """Writes bytes of the test's choice in place of an answer."""
    sys.stdout.write(line.replace("$ID", json.dumps(request["id"])))
    sys.stdout.flush()


def environment(request):
    text(request, {"env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv, "pgid": os.getpgid(0),
                   "pid": os.getpid(), "sid": os.getsid(0), "fds": sorted(os.listdir("/proc/self/fd")),
                   "blocked": [line for line in open("/proc/self/status") if line.startswith(("SigBlk", "SigIgn"))]})


STUBBORN = """import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(600)"""


def orphans(request):
    """Starts processes that ignore SIGTERM; one left its group and lost its parent."""
    for detach in (False, True):
        child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                 start_new_session=detach)
        child.stdout.readline()
        held.setdefault("children", []).append(child)
    detached = subprocess.run([sys.executable, "-c",
                               "import subprocess, sys\n"
                               f"p = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], start_new_session=True,"
                               " stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)\n"
                               "p.stdout.readline(); print(p.pid, flush=True)"], stdout=subprocess.PIPE, text=True)
    text(request, [child.pid for child in held["children"]] + [int(detached.stdout)])


def stubborn(request):
    """From now on neither EOF nor SIGTERM ends this server."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    text(request, "stubborn")
    while True:
        time.sleep(600)


def deaf(request):
    """Reads nothing more, but lives on."""
    text(request, "deaf")
    while True:
        time.sleep(600)


def close_stdout(request):
    os.close(1)
    time.sleep(600)


TOOLS = {
    "echo": lambda request, **arguments: text(request, arguments),
    "hold": hold, "release": release, "progress": progress, "ask": ask, "unask": unask, "crash": crash,
    "die_by": die_by, "flood": flood, "big": big, "log": log, "log_long": log_long, "log_later": log_later,
    "news": news, "raw": raw,
    "environment": environment, "orphans": orphans, "stubborn": stubborn, "deaf": deaf, "close_stdout": close_stdout,
    "received": lambda request: text(request, received),
    "cancelled": lambda request: text(request, cancelled),
}


def handle(message):
    method = message.get("method")
    if method == "initialize":
        version = os.environ.get("BACKEND_VERSION") or message["params"]["protocolVersion"]
        if os.environ.get("BACKEND_NEWS_FIRST"):
            notify("notifications/tools/list_changed")
        if message["params"].get("fail"):
            write({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "no"}})
        else:
            result(message, {"protocolVersion": version, "capabilities": {"tools": {}},
                             "serverInfo": {"name": "backend", "version": "1"}})
    elif method == "tools/call":
        try:
            TOOLS[message["params"]["name"]](message, **message["params"].get("arguments", {}))
        except KeyError as error:
            write({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": f"nothing held: {error}"}})
    elif method == "tools/list":
        result(message, {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in sorted(TOOLS)]})
    elif method == "ping":
        result(message, {})
    elif method == "notifications/cancelled":
        cancelled.append(message["params"]["requestId"])
    elif method is None and message.get("id") == "server-1" and "ask" in held:
        text(held.pop("ask"), message["result"])
    elif "id" in message and method:
        write({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no such method"}})


for line in sys.stdin:
    received.append(line.rstrip("\n"))
    handle(json.loads(line))
