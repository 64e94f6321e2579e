"""Many clients, each with a session of its own, that call a tool all the time; runs inside a machine (load.py).

    load_client.py PORT LAKES TICKERS PACE_SECONDS

Half of the sessions keep their connection, the others make a new one for each request. A lake session walks on
its own FrozenLake (its own seed, so its own map) and knows where it must be; a ticker session counts its calls,
and every other one of them takes a while in the backend, so that many are always in the middle of a call.

Each line on stdin is answered by a line of JSON: "round" when every session has completed a call that it began
later, "stop" with the report, when the calls under way are answered, "end" likewise and the sessions end, too. The
first line of output says how many sessions are live.
"""

import asyncio
import collections
import contextlib
import itertools
import json
import random
import secrets
import sys
import time

from http_load import Connection, Failed, response_in

VERSION = "2025-06-18"
CALL_SECONDS_MAX = 30
AT_ONCE_MAX = 16
FAILURES_KEPT_MAX = 50
LONG_SECONDS = (0.2, 1.0)
LAKE_STEPS_MAX = 100


class Lake:
    """Walks on safe ice only, and compares every answer with the place where it must be."""

    server = "frozen-lake"

    def __init__(self, number):
        self.seed = number
        self.grid, self.position, self.steps = None, 0, 0

    def client_info(self):
        return {"name": f"lake-{self.seed}", "version": "1", "_extra": {"seed": self.seed}}

    def target(self, action):
        size = len(self.grid.split()[0])
        row, column = divmod(self.position, size)
        down, right = {"LEFT": (0, -1), "DOWN": (1, 0), "RIGHT": (0, 1), "UP": (-1, 0)}[action]
        row, column = min(max(row + down, 0), size - 1), min(max(column + right, 0), size - 1)
        return row * size + column

    def next_call(self):
        """(tool, arguments, seconds that the backend takes)"""
        actions = ["LEFT", "DOWN", "RIGHT", "UP"]
        if self.grid is None:
            self.action = "UP"  # against the edge: shows the map and moves nobody
        else:
            cells = self.grid.replace("\n", "").replace(" ", "")
            self.action = random.choice([action for action in actions if cells[self.target(action)] in "SF"])
        return "lake_move", {"action": self.action}, 0

    def check(self, result):
        seen = result["structuredContent"]
        if self.grid is None:
            self.grid = seen["grid"]
        elif self.steps < LAKE_STEPS_MAX:
            self.position = self.target(self.action)
        self.steps += 1
        if seen["grid"] != self.grid or seen["action"] != self.action:
            raise Failed("wrong", f"another lake: {seen}, not {self.grid!r} after {self.action}")
        if seen["position"] != self.position:
            raise Failed("lost", f"at {seen['position']}, not {self.position}, after {self.steps} steps")


class Ticker:
    """Every answer must come from the same process, be one more than the last, and bear the call's own tag."""

    server = "ticker"

    def __init__(self, number):
        self.number, self.pid, self.count = number, None, 0

    def client_info(self):
        return {"name": f"ticker-{self.number}", "version": "1"}

    def next_call(self):
        self.count += 1
        self.tag = f"{self.number}-{self.count}"
        seconds = round(random.uniform(*LONG_SECONDS), 2) if self.count % 2 else 0
        return "tick", {"tag": self.tag, "seconds": seconds}, seconds

    def check(self, result):
        pid, count, tag = result["content"][0]["text"].split()
        if tag != self.tag:
            raise Failed("wrong", f"the answer to {tag}, not to {self.tag}")
        if self.pid not in (None, pid):
            raise Failed("lost", f"process {pid}, not {self.pid}")
        self.pid = pid
        if int(count) != self.count:
            raise Failed("lost" if int(count) < self.count else "wrong", f"call {count} there, {self.count} here")


class Session:
    def __init__(self, load, player, number):
        self.load, self.player = load, player
        self.key = f"{load.name}-{number}"
        self.path = f"/{player.server}/s/{self.key}"
        self.connection = Connection("127.0.0.1", load.port, keep=number % 2 == 0)
        self.ids = itertools.count(1)
        self.headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        self.round = 0  # the newest round in which it began a call that was answered
        self.is_over = False

    async def request(self, method, params):
        message = {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}
        status, headers, payload = await self.exchange(message)
        if status == 404:
            raise Failed("lost", f"{status} {payload[:300]!r}")
        response = response_in(headers, payload, message["id"]) if status == 200 else None
        if response is None or "result" not in response:
            raise Failed("failed", f"{status} {payload[:300]!r}")
        return headers, response["result"]

    async def exchange(self, message, method="POST", rest="/mcp"):
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                return await self.connection.send(method, self.path + rest, self.headers, message)
        except TimeoutError:
            raise Failed("failed", f"no answer in {CALL_SECONDS_MAX} s") from None

    async def begin(self):
        headers, result = await self.request("initialize", {
            "protocolVersion": VERSION, "capabilities": {}, "clientInfo": self.player.client_info()})
        self.headers["MCP-Protocol-Version"] = result["protocolVersion"]
        self.headers["Mcp-Session-Id"] = headers["mcp-session-id"]
        status, _, payload = await self.exchange({"jsonrpc": "2.0", "method": "notifications/initialized"})
        if status != 202:
            raise Failed("failed", f"notifications/initialized: {status} {payload[:300]!r}")

    async def call(self):
        began_in = self.load.round
        tool, arguments, seconds = self.player.next_call()
        begin = time.monotonic()
        _, result = await self.request("tools/call", {"name": tool, "arguments": arguments})
        self.load.note_call(time.monotonic() - begin, seconds)
        self.player.check(result)
        self.round = began_in

    async def end(self):
        """Ends the session, by the HTTP interface for those who made it."""
        self.connection.keep = False
        with contextlib.suppress(Failed):
            await self.exchange(None, "DELETE", "")

    async def live(self):
        """Calls until told to stop. What failed is noted; after that the state is not known, so the session ends."""
        while not self.load.stopping.is_set():
            try:
                await self.call()
            except Failed as failure:
                self.load.note_failure(failure, self)
                self.is_over = True
            self.load.progress()
            if self.is_over:
                break
            await self.load.pause()


class Load:
    def __init__(self, port, lakes, tickers, pace):
        self.name = "load-" + secrets.token_hex(4)  # an earlier load may have left its sessions
        self.port, self.pace, self.round = port, pace, 0
        players = [Lake(i) for i in range(lakes)] + [Ticker(i) for i in range(tickers)]
        self.sessions = [Session(self, player, i) for i, player in enumerate(players)]
        self.stopping = asyncio.Event()
        self.moved = asyncio.Event()
        self.counts = collections.Counter()
        self.slowest = 0.0
        self.failures = []

    def note_call(self, elapsed, asked):
        self.counts["long_calls" if asked else "calls"] += 1
        self.slowest = max(self.slowest, elapsed - asked)

    def note_failure(self, failure, session):
        self.counts[failure.kind] += 1
        if len(self.failures) < FAILURES_KEPT_MAX:
            self.failures.append({"kind": failure.kind, "session": f"{session.player.server}/{session.key}",
                                  "after": f"{time.monotonic() - self.begin:.3f} s", "what": str(failure)})

    def progress(self):
        self.moved.set()

    async def pause(self):
        try:
            async with asyncio.timeout(random.uniform(0, 2 * self.pace)):
                await self.stopping.wait()
        except TimeoutError:
            pass

    async def in_turns(self, action):
        """Runs a coroutine of every session, a few at a time."""
        room = asyncio.Semaphore(AT_ONCE_MAX)

        async def one(session):
            async with room:
                try:
                    await action(session)
                except Failed as failure:
                    self.note_failure(failure, session)
                    session.is_over = True

        await asyncio.gather(*map(one, self.sessions))

    async def whole_round(self):
        self.round += 1
        while any(session.round < self.round and not session.is_over for session in self.sessions):
            self.moved.clear()
            await self.moved.wait()

    def report(self):
        return {"sessions": len(self.sessions), "connections": sum(s.connection.opened for s in self.sessions),
                "seconds": round(time.monotonic() - self.begin, 3), "slowest_seconds": round(self.slowest, 3),
                **{kind: self.counts[kind] for kind in ("calls", "long_calls", "refused", "failed", "lost", "wrong")},
                "failures": self.failures}

    async def run(self):
        loop = asyncio.get_running_loop()
        commands = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        self.begin = time.monotonic()
        await self.in_turns(Session.begin)
        say(live=sum(not session.is_over for session in self.sessions))
        tasks = [asyncio.create_task(session.live()) for session in self.sessions if not session.is_over]
        while (command := (await commands.readline()).decode().strip()) == "round":
            await self.whole_round()
            say(round=self.round)
        self.stopping.set()
        await asyncio.gather(*tasks)
        if command == "end":
            await self.in_turns(Session.end)
        say(**self.report())


def say(**message):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    asyncio.run(Load(*map(int, sys.argv[1:4]), float(sys.argv[4])).run())
