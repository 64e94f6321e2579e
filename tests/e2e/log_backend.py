"""An MCP server over stdio that writes what it is told, byte by byte, to its stderr or stdout."""

import json
import os
import sys

for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    result = {}
    if request["method"] == "initialize":
        result = {"protocolVersion": request["params"]["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "log", "version": "1"}}
    elif request["method"] == "tools/call":
        arguments = request["params"]["arguments"]
        data = bytes.fromhex(arguments["hex"])
        while data:
            data = data[os.write(arguments.get("fd", 2), data):]
        result = {"content": [{"type": "text", "text": json.dumps({"journal": os.environ.get("JOURNAL_STREAM"),
                                                                   "socket": os.environ.get("ENVMUX_JOURNAL")})}]}
    os.write(1, json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode() + b"\n")
