"""An MCP server that takes what it is told to: memory, processes, CPU time. python3 -I -S greedy.py"""

import json
import os
import signal
import sys
import time

taken = []


def eat(mib):
    """So much more memory, written to; what it has eaten, in MiB."""
    taken.append(b"x" * (mib << 20))
    return sum(map(len, taken)) >> 20


def eat_in_child(mib):
    """The same in a process of its own; this one waits until that ended."""
    child = os.fork()
    if child == 0:
        eat(mib)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def fork(count):
    """So many processes that do nothing; how many could be started."""
    for started in range(count):
        try:
            if os.fork() == 0:
                while True:
                    signal.pause()
        except BlockingIOError:
            return started
    return count


def spin(seconds):
    """Computes for so long; the CPU seconds it got."""
    end, began = time.monotonic() + seconds, time.process_time()
    while time.monotonic() < end:
        pass
    return time.process_time() - began


def count():
    """How often it was asked: tells whether it is still the same process."""
    taken.append(b"")
    return len(taken)


TOOLS = {tool.__name__: tool for tool in (eat, eat_in_child, fork, spin, count)}


def answer(request):
    method, params = request["method"], request.get("params") or {}
    if method == "initialize":
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "greedy", "version": "1"}}
    if method == "tools/call":
        value = TOOLS[params["name"]](**params["arguments"])
        return {"content": [{"type": "text", "text": json.dumps(value)}]}
    return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer(message)}), flush=True)
