"""HTTP/1.1 by hand: tests see every byte, and can send what no library would."""

import dataclasses
import json
import socket

PATIENCE = 20


@dataclasses.dataclass
class Message:
    start: str
    headers: list
    body: bytes = b""
    is_cut: bool = False  # the peer closed before the end that the framing promised

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    @property
    def method(self):
        return self.start.split(" ")[0]

    @property
    def target(self):
        return self.start.split(" ")[1]

    def get(self, name, default=None):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} comes {len(values)} times"
        return values[0] if values else default

    def json(self):
        return json.loads(self.body)

    def reason(self):
        """error.data.envmux.reason of a JSON-RPC error, or envmux.reason of a plain one."""
        value = self.json()
        return (value["error"]["data"] if "jsonrpc" in value else value)["envmux"]["reason"]


class Wire:
    """One connection, either side."""

    def __init__(self, sock):
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.buffer = b""

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def _fill(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def is_closed(self):
        """Waits for the peer to close; fails when it sends something instead."""
        assert self.buffer == b""
        try:
            return not self._fill()
        except ConnectionResetError:
            return True

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self._fill():
                raise ConnectionError(f"closed after {self.buffer!r}")
        data, self.buffer = self.buffer.split(mark, 1)
        return data + mark

    def read_exactly(self, size):
        while len(self.buffer) < size:
            if not self._fill():
                raise ConnectionError(f"closed after {len(self.buffer)} of {size} bytes")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_head(self):
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines[1:-2]]
        return Message(lines[0], headers)

    def read_chunk(self):
        size = int(self.read_until(b"\r\n"), 16)
        data = self.read_exactly(size)
        assert self.read_exactly(2) == b"\r\n"
        return data

    def read_body(self, head):
        try:
            if head.get("Transfer-Encoding") == "chunked":
                while chunk := self.read_chunk():
                    head.body += chunk
            elif head.get("Content-Length"):
                head.body = self.read_exactly(int(head.get("Content-Length")))
        except ConnectionError:
            head.is_cut = True
        return head

    def read_message(self):
        return self.read_body(self.read_head())

    def respond(self, status, body=b"", headers=()):
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
        lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def start_chunked(self, headers=(), status=200):
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
        lines.append("Transfer-Encoding: chunked")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n")

    def send_chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end_chunked(self):
        self.send(b"0\r\n\r\n")


class Client(Wire):
    """A connection to 127.0.0.1:port."""

    def __init__(self, port):
        super().__init__(socket.create_connection(("127.0.0.1", port), PATIENCE))
        self.host = f"127.0.0.1:{port}"

    def start(self, method, target, headers=(), body=None):
        lines = [f"{method} {target} HTTP/1.1"]
        if not any(name.lower() == "host" for name, _ in headers):
            lines.append(f"Host: {self.host}")
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def request(self, method, target, headers=(), body=None):
        self.start(method, target, headers, body)
        return self.read_message()
