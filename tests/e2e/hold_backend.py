"""An MCP server over stdio whose tool "hold" answers with its pid, once the file at PATH exists (writing PATH.held
first, so that a test knows that the call is there)."""

import json
import os
import pathlib
import sys
import time


def write(request, result):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}) + "\n")
    sys.stdout.flush()


def hold(path):
    pathlib.Path(path + ".held").touch()
    while not os.path.exists(path):
        time.sleep(0.01)


for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "initialize":
        write(message, {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                        "serverInfo": {"name": "hold", "version": "1"}})
    elif method == "tools/call":
        arguments = message["params"]["arguments"]
        if "path" in arguments:
            hold(arguments["path"])
        write(message, {"content": [{"type": "text", "text": str(os.getpid())}]})
    elif "id" in message and method:
        write(message, {})
