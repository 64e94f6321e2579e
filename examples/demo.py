#!/usr/bin/env python3
"""Plays FrozenLake with several seeds at the same time through one envmux address.

    demo.py URL [SEED…]        e.g.  demo.py http://127.0.0.1:8700 42 123 456

An MCP client in plain Python, to show what goes over the wire; a program would use an SDK. Each
seed is a session of its own, named by its path (/s/KEY/mcp), with its own backend process. All
players make each move at the same time, and the boards are printed side by side."""

import concurrent.futures
import json
import sys
import urllib.request

POLICY = ["RIGHT", "RIGHT", "RIGHT", "DOWN", "DOWN", "DOWN"]
COLUMN = 26


class Session:
    """One MCP session over Streamable HTTP, protocol revision 2025-06-18."""

    def __init__(self, url):
        self.url = url
        self.headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        self.last_id = 0

    def post(self, message):
        request = urllib.request.Request(self.url, json.dumps(message).encode(), self.headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            if "Mcp-Session-Id" in answer.headers:
                self.headers["Mcp-Session-Id"] = answer.headers["Mcp-Session-Id"]
            is_stream = answer.headers.get_content_type() == "text/event-stream"
            return self.read_stream(answer, message.get("id")) if is_stream else json.loads(answer.read() or "null")

    @staticmethod
    def read_stream(answer, wanted_id):
        for line in answer:
            if line.startswith(b"data:") and line[5:].strip():
                message = json.loads(line[5:])
                if message.get("id") == wanted_id and "method" not in message:
                    return message
        raise RuntimeError("the stream ended without an answer")

    def call(self, method, params):
        self.last_id += 1
        answer = self.post({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params})
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def open(self):
        client = {"name": "envmux-demo", "version": "1"}
        self.call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
        self.headers["MCP-Protocol-Version"] = "2025-06-18"
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def resource(self, uri):
        return json.loads(self.call("resources/read", {"uri": uri})["contents"][0]["text"])

    def tool(self, name, arguments):
        return json.loads(self.call("tools/call", {"name": name, "arguments": arguments})["content"][0]["text"])


class Player:
    """One seed's game. Boards and results are lines of text, ready for its column."""

    def __init__(self, url, seed):
        self.seed = seed
        self.session = Session(f"{url}/s/demo-{seed}/mcp?seed={seed}")
        self.is_over = False

    def start(self):
        state = self.session.open().resource("game://initial_state")
        return [f"seed {self.seed}", *self.board(state)]

    def move(self, action):
        if self.is_over:
            return []
        state = self.session.tool("lake_move", {"action": action})
        reward = self.session.resource("control://reward")
        status = self.session.resource("control://status")
        self.is_over = status["terminated"] or status["truncated"]
        lines = [f"move {reward['step_count']}: {action}", *self.board(state), f"reward {reward['reward']:g}"]
        if self.is_over:
            lines.append("end: reached the goal" if status["total_reward"] > 0 else "end: fell into a hole")
        return lines

    @staticmethod
    def board(state):
        rows = state["grid"].split("\n")
        row, column = divmod(state["position"], len(rows[0]))
        marked = [[f" {cell} " for cell in line] for line in rows]
        marked[row][column] = f"[{rows[row][column]}]"
        return ["".join(line) for line in marked]


def print_columns(columns):
    for i in range(max(map(len, columns))):
        print("".join((column[i] if i < len(column) else "").ljust(COLUMN) for column in columns).rstrip())
    print()


def main(url, seeds):
    players = [Player(url.rstrip("/"), seed) for seed in seeds]
    with concurrent.futures.ThreadPoolExecutor(len(players)) as together:
        print_columns(list(together.map(Player.start, players)))
        for action in POLICY:
            if not all(player.is_over for player in players):
                print_columns(list(together.map(lambda player: player.move(action), players)))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], [int(word) for word in sys.argv[2:]] or [42, 123, 456])
