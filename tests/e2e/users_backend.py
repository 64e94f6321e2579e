"""An MCP server over stdio that tells who it is and what it can reach of others."""

import json
import os
import signal
import socket
import sys
import time


def whoami():
    status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
    return {"pid": os.getpid(), "ppid": os.getppid(), "uids": os.getresuid(), "gids": os.getresgid(),
            "groups": os.getgroups(), "capabilities": status["CapEff"], "no_new_privs": status["NoNewPrivs"],
            "cwd": os.getcwd(), "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1],
            "env": {name: os.environ.get(name) for name in ("HOME", "USER", "LOGNAME", "TMPDIR")}}


def attempt(action):
    """What it gave, or the name of the error."""
    try:
        return {"value": action()}
    except OSError as error:
        return {"error": type(error).__name__}


def connect(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if path.endswith("/supervisor") else socket.SOCK_STREAM) as s:
        s.connect(path)


def crowd(path, count):
    """Connects count times and says nothing; returns the seconds until no more than 128 of these are left."""
    begin = time.monotonic()
    sockets = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
    for s in sockets:
        s.connect(path)
    sockets[-129].recv(1)
    return time.monotonic() - begin


def say(path, frame):
    """Sends a frame, given in hex; what comes back, "" for the end of the connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(path)
        s.send(bytes.fromhex(frame))
        return s.recv(65536).hex()


TOOLS = {
    "whoami": whoami,
    "read": lambda path: attempt(lambda: open(path, "rb").read(4096).hex()),
    "write": lambda path: attempt(lambda: open(path, "w").write("x")),
    "list": lambda path: attempt(lambda: os.listdir(path)),
    "link": lambda path: attempt(lambda: os.readlink(path)),
    "connect": lambda path: attempt(lambda: connect(path)),
    "kill": lambda pid: attempt(lambda: os.kill(pid, signal.SIGKILL)),
    "crowd": crowd,
    "say": say,
}


def answer(message):
    method = message["method"]
    if method == "initialize":
        return {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "users", "version": "1"}}
    if method == "tools/call":
        value = TOOLS[message["params"]["name"]](**message["params"].get("arguments", {}))
        return {"content": [{"type": "text", "text": json.dumps(value)}]}
    return {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request and "method" in request:
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer(request)}), flush=True)
