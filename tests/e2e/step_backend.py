"""An MCP server over stdio whose tool "steps" takes its time: progress 1 … COUNT, each with a text of its own."""

import json
import sys
import time


def write(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def steps(request, count, usec):
    token = request["params"]["_meta"]["progressToken"]
    for i in range(1, count + 1):
        time.sleep(usec / 1e6)
        write({"method": "notifications/progress",
               "params": {"progressToken": token, "progress": i, "total": count, "message": f"step {i}"}})
    write({"id": request["id"], "result": {"content": [{"type": "text", "text": f"{count} steps"}]}})


for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "initialize":
        write({"id": message["id"], "result": {"protocolVersion": message["params"]["protocolVersion"],
                                               "capabilities": {"tools": {}}, "serverInfo": {"name": "steps", "version": "1"}}})
    elif method == "tools/call":
        steps(message, **message["params"]["arguments"])
    elif method == "tools/list":
        write({"id": message["id"], "result": {"tools": [{"name": "steps", "inputSchema": {"type": "object"}}]}})
    elif "id" in message and method:
        write({"id": message["id"], "result": {}})
