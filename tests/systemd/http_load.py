"""HTTP as a load client needs it: one request at a time, and exact words about how one failed."""

import asyncio
import json


class Failed(Exception):
    """kind: refused (no connection), failed (no good answer), lost (no such session), wrong (another's answer)"""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Connection:
    """To one address; kept between requests where `keep`, else each request has its own."""

    def __init__(self, host, port, keep):
        self.host, self.port, self.keep = host, port, keep
        self.reader = self.writer = None
        self.opened = 0

    async def open(self):
        try:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            raise Failed("refused", str(error)) from None
        self.opened += 1

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def send(self, method, target, headers, message):
        """One exchange: (status, headers in lower case, body). A kept connection that the other side closed
        after an answer is opened again; one that ends under a request is a failure."""
        if self.reader and self.reader.at_eof():
            self.close()
        reused = self.writer is not None
        if not reused:
            await self.open()
        body = json.dumps(message, separators=(",", ":")).encode() if message else b""
        head = [f"{method} {target} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Content-Length: {len(body)}",
                *(f"{name}: {value}" for name, value in headers.items())]
        try:
            self.writer.write("\r\n".join([*head, "", ""]).encode() + body)
            status, answer_headers = await self.read_head()
            payload = await self.read_body(answer_headers)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            on = "a kept connection" if reused else "a fresh connection"
            raise Failed("failed", f"{on}: {error or type(error).__name__}") from None
        except BaseException:
            self.close()
            raise
        if not self.keep or "close" in answer_headers.get("connection", ""):
            self.close()
        return status, answer_headers, payload

    async def read_head(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:-2])
        return int(head[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def read_body(self, headers):
        if "chunked" not in headers.get("transfer-encoding", ""):
            return await self.reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
            body += (await self.reader.readexactly(size + 2))[:-2]
            if size == 0:
                return body


def response_in(headers, payload, request_id):
    """The JSON-RPC response to a request, from JSON or an event stream; None when it is not there."""
    if "text/event-stream" in headers.get("content-type", ""):
        texts = [line[5:] for line in payload.decode().splitlines() if line.startswith("data:") and line[5:].strip()]
    else:
        texts = [payload.decode()] if payload.strip() else []
    for message in map(json.loads, texts):
        if message.get("id") == request_id and "method" not in message:
            return message
    return None
