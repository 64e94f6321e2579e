"""A client of the HTTP+SSE transport (MCP 2024-11-05) at the level of bytes: a stream, and POSTs."""

import itertools
import json
import urllib.parse

import http_wire


class SseClient:
    """GET path on entry; events come by next_event, or by request as far as an answer."""

    def __init__(self, run, path, headers=()):
        self.run = run
        self.ids = itertools.count()
        self.text = b""
        self.seen = []  # events that were not what somebody waited for
        self.stream = http_wire.Client(run.port)
        self.stream.start("GET", path, [("Accept", "text/event-stream"), *headers])
        self.head = self.stream.read_head()
        if self.head.status != 200:
            self.stream.read_body(self.head)
            return
        kind, self.endpoint = self.next_event()
        assert kind == "endpoint", (kind, self.endpoint)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.stream.close()

    @property
    def session_id(self):
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.endpoint).query)["sessionId"][0]

    def next_event(self):
        """(event, data) of the next one, comments aside; None at the proper end of the stream."""
        while True:
            self.text = self.text.replace(b"\r\n", b"\n")
            while b"\n\n" not in self.text:
                chunk = self.stream.read_chunk()
                if not chunk:
                    return None
                self.text = (self.text + chunk).replace(b"\r\n", b"\n")
            block, self.text = self.text.split(b"\n\n", 1)
            fields = [line.split(":", 1) for line in block.decode().split("\n") if line and not line.startswith(":")]
            if fields:
                found = {}
                for name, value in fields:
                    found.setdefault(name, []).append(value.removeprefix(" "))
                return found.get("event", ["message"])[0], "\n".join(found.get("data", []))

    def next_message(self):
        event = self.next_event()
        assert event and event[0] == "message", event
        return json.loads(event[1])

    def rest(self):
        """The messages up to the end of the stream, and whether the end was a proper one."""
        messages = []
        try:
            while event := self.next_event():
                messages.append(json.loads(event[1]))
        except ConnectionError:
            return messages, False
        return messages, True

    def post(self, message, endpoint=None, headers=(("Content-Type", "application/json"),)):
        """The answer to a POST of message: an object, or bytes as they are."""
        client = http_wire.Client(self.run.port)
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        answer = client.request("POST", endpoint or self.endpoint, list(headers), body)
        client.close()
        return answer

    def send(self, method, params=None, **members):
        answer = self.post({"jsonrpc": "2.0", "method": method, **({"params": params} if params is not None else {}), **members})
        assert answer.status == 202 and answer.body == b"Accepted", answer

    def answer_to(self, request_id):
        """Reads up to the response to request_id; what came before it is kept in seen."""
        while True:
            message = self.next_message()
            if message.get("id") == request_id and "method" not in message:
                return message
            self.seen.append(message)

    def start(self, method, params=None):
        """Sends a request; its id, for answer_to."""
        request_id = next(self.ids)
        self.send(method, params, id=request_id)
        return request_id

    def request(self, method, params=None):
        return self.answer_to(self.start(method, params))

    def initialize(self, version="2024-11-05", **info):
        answer = self.request("initialize", {"protocolVersion": version, "capabilities": {},
                                             "clientInfo": {"name": "old", "version": "1", **info}})
        if "result" in answer:
            self.send("notifications/initialized")
        return answer

    def start_call(self, tool, _token=None, **arguments):
        params = {"name": tool, "arguments": arguments}
        return self.start("tools/call", {**params, "_meta": {"progressToken": _token}} if _token is not None else params)

    @staticmethod
    def value(answer):
        """The parsed text of a tool's answer."""
        return json.loads(answer["result"]["content"][0]["text"])

    def call(self, tool, **arguments):
        answer = self.answer_to(self.start_call(tool, **arguments))
        assert "result" in answer, answer
        text = answer["result"]["content"][0]["text"]
        try:
            return json.loads(text)
        except ValueError:
            return text
