"""Requests on connections of their own, answered message by message: what a client with many calls at once sees."""

import http.client
import json

import mcp_client


class Stream:
    """One HTTP exchange; its messages are read as they are asked for."""

    def __init__(self, client, method, body=None, **headers):
        self.connection = http.client.HTTPConnection(client.connection.host, client.connection.port, timeout=60)
        own = {"Accept": mcp_client.ACCEPT, "Content-Type": "application/json", "Mcp-Session-Id": client.session_id,
               "MCP-Protocol-Version": client.version} | {name.replace("_", "-"): value for name, value in headers.items()}
        self.id = body.get("id") if body else None
        data = json.dumps(body, ensure_ascii=False).encode() if body else None
        self.connection.request(method, client.target, data, own)
        self.answer = None

    def begin(self):
        """Waits for the head of the answer."""
        if not self.answer:
            self.answer = self.connection.getresponse()
        return self.answer

    @property
    def status(self):
        return self.begin().status

    def event(self):
        """(id, message) of the next event, message None for an empty one; None at the end."""
        fields = {}
        while line := self.begin().readline():
            name, _, value = line.decode().rstrip("\r\n").partition(":")
            if name:
                fields[name] = value.lstrip()
            elif "id" in fields or fields.get("data"):
                return fields.get("id"), json.loads(fields["data"]) if fields.get("data") else None
        return None

    def __iter__(self):
        """Its messages, whether it is an event stream or not."""
        if self.begin().headers.get_content_type() != "text/event-stream":
            yield json.loads(self.answer.read())
            return
        while event := self.event():
            if event[1] is not None:
                yield event[1]

    def close(self):
        if self.answer:
            self.answer.close()
        self.connection.close()


class Caller(mcp_client.Client):
    """A client whose calls may be under way together."""

    def begin(self, tool, arguments=None, id=None, token=None):
        params = {"name": tool, "arguments": arguments or {}}
        if token is not None:
            params["_meta"] = {"progressToken": token}
        id = next(self.ids) if id is None else id
        return Stream(self, "POST", {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})

    def tell(self, message):
        """A notification, or an answer to the server."""
        stream = Stream(self, "POST", {"jsonrpc": "2.0", **message})
        assert stream.status == 202
        stream.close()


def text(message):
    """What a tool answered, read as JSON where it is."""
    value = message["result"]["content"][0]["text"]
    try:
        return json.loads(value)
    except ValueError:
        return value
