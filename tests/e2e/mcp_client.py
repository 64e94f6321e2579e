"""A bare MCP client over one HTTP connection, for tests that look at the wire: no SDK between."""

import http.client
import itertools
import json
import urllib.parse

ACCEPT = "application/json, text/event-stream"


class McpError(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]
        self.data = error.get("data") or {}
        self.envmux = self.data.get("envmux") or {}


class Client:
    """initialize on entry, DELETE on exit (unless keep). Requests are answered in order."""

    def __init__(self, url, *, version="2025-06-18", client_info=None, headers=None, timeout=30, keep=False):
        parts = urllib.parse.urlsplit(url)
        self.target = parts.path + (f"?{parts.query}" if parts.query else "")
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        self.headers = dict(headers or {})
        self.version = version
        self.client_info = client_info or {"name": "wire", "version": "1"}
        self.session_id = None
        self.initialize_headers = None
        self.keep = keep
        self.ids = itertools.count()

    def __enter__(self):
        self.initialize()
        return self

    def __exit__(self, *exception):
        if not self.keep and self.session_id:
            self.delete()
        self.connection.close()

    def send(self, method, body=None, headers=None):
        """One HTTP exchange; returns (status, headers, bytes). Reconnects when the server closed."""
        all_headers = {"Accept": ACCEPT, **self.headers, **(headers or {})}
        if body is not None:
            all_headers.setdefault("Content-Type", "application/json")
        if self.session_id:
            all_headers.setdefault("Mcp-Session-Id", self.session_id)
            all_headers.setdefault("MCP-Protocol-Version", self.version)
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        try:
            self.connection.request(method, self.target, data, all_headers)
            answer = self.connection.getresponse()
            payload = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()  # the next one starts on a fresh connection
            raise
        return answer.status, answer.headers, payload

    @staticmethod
    def messages(headers, payload):
        """The JSON-RPC messages of an answer, JSON or SSE."""
        if headers.get_content_type() == "text/event-stream":
            events = payload.decode().replace("\r\n", "\n").split("\n\n")
            lines = ["\n".join(line[5:].lstrip() for line in event.split("\n") if line.startswith("data:")) for event in events]
            return [json.loads(line) for line in lines if line.strip()]
        return [json.loads(payload)] if payload.strip() else []

    def request(self, method, params=None, expect_status=200):
        request_id = next(self.ids)
        message = {"jsonrpc": "2.0", "id": request_id, "method": method}
        if params is not None:
            message["params"] = params
        status, headers, payload = self.send("POST", message)
        if status == 404 and expect_status == 200 and b'"error"' in payload:
            raise McpError(json.loads(payload)["error"])  # the session is over; why is in it
        if status != expect_status:
            raise AssertionError(f"{method}: HTTP {status}: {payload[:500]!r}")
        answers = [m for m in self.messages(headers, payload) if m.get("id") == request_id and "method" not in m]
        assert len(answers) == 1, payload
        if "error" in answers[0]:
            raise McpError(answers[0]["error"])
        return answers[0]["result"]

    def initialize(self):
        message = {"jsonrpc": "2.0", "id": next(self.ids), "method": "initialize",
                   "params": {"protocolVersion": self.version, "capabilities": {}, "clientInfo": self.client_info}}
        status, headers, payload = self.send("POST", message)
        assert status == 200, (status, payload)
        answer = self.messages(headers, payload)[-1]
        if "error" in answer:
            raise McpError(answer["error"])
        self.initialize_headers = headers
        self.session_id = headers["Mcp-Session-Id"]
        self.version = answer["result"]["protocolVersion"]
        status, _, payload = self.send("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert status == 202, (status, payload)
        return answer["result"]

    def call(self, tool, **arguments):
        """A tool call; the parsed JSON of its text."""
        result = self.request("tools/call", {"name": tool, "arguments": arguments})
        assert not result.get("isError"), result
        text = result["content"][0]["text"]
        try:
            return json.loads(text)
        except ValueError:
            return text

    def read(self, uri):
        return json.loads(self.request("resources/read", {"uri": uri})["contents"][0]["text"])

    def delete(self):
        return self.send("DELETE")[0]
