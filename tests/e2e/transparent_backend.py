"""An MCP server that behaves the same over stdio and HTTP, so that what a client sees can only differ by what is
between them. Every message it sends carries "seq", counted through all of them: their order as they were sent.

    transparent_backend.py [--port N]          without it: stdio
"""

import argparse
import collections
import http.server
import json
import os
import signal
import sys
import threading
import time
import uuid

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
options = parser.parse_args()
lock = threading.Lock()  # of all that is counted below, and of standard output
sent = 0
notes, cancelled = [], []
replies = {}  # id of a question -> queue of its answer
barriers = collections.defaultdict(list)
gate = threading.Event()


class Stdio:
    """All that is sent goes one way."""

    def write(self, data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def message(self, message):
        self.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")


class Stream:
    """The event stream that answers one POST; begun by the first message."""

    def __init__(self, handler):
        self.handler, self.is_begun = handler, False

    def write(self, data):
        if not self.is_begun:
            self.is_begun = True
            self.handler.send_response(200)
            self.handler.send_header("Content-Type", "text/event-stream")
            self.handler.send_header("Transfer-Encoding", "chunked")
            self.handler.end_headers()
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def message(self, message):
        self.write(b"data: " + json.dumps(message, ensure_ascii=False).encode() + b"\n\n")


class Call:
    def __init__(self, out, request):
        self.out, self.id = out, request["id"]
        self.arguments = request["params"].get("arguments", {})
        self.token = request["params"].get("_meta", {}).get("progressToken")

    def send(self, **message):
        global sent
        with lock:
            sent += 1
            for part in ("params", "result"):
                if part in message:
                    message[part]["seq"] = sent
            if isinstance(self.out, Stdio):
                self.out.message({"jsonrpc": "2.0", **message})
        if isinstance(self.out, Stream):  # a reader that is slow holds up its own stream alone
            self.out.message({"jsonrpc": "2.0", **message})

    def progress(self, step, text=""):
        self.send(method="notifications/progress", params={"progressToken": self.token, "progress": step, "message": text})

    def log(self, text):
        self.send(method="notifications/message", params={"level": "info", "data": text})

    def ask(self, method, **params):
        """A question to the client; its result."""
        answer = replies.setdefault(id := uuid.uuid4().hex, [None, threading.Event()])
        self.send(id=id, method=method, params=params)
        answer[1].wait()
        return replies.pop(id)[0]

    def text(self, value):
        text = value if isinstance(value, str) else json.dumps(value)
        self.send(id=self.id, result={"content": [{"type": "text", "text": text}]})


def meet(name, parties):
    """Waits until so many calls are here: from then on their messages interleave."""
    with lock:
        if not barriers[name]:
            barriers[name].append(threading.Barrier(parties))
    barriers[name][0].wait()


# ---- tools ----


def mix(call, name, rounds, parties, room="mix"):
    """Progress, logging and questions, in step with the other calls of this room; answers with the answers."""
    heard = []
    for i in range(rounds):
        meet(room, parties)
        call.progress(2 * i, name)
        call.log(f"{name} {i}")
        heard.append(call.ask("sampling/createMessage", name=name, round=i)["said"])
        meet(room, parties)
        call.progress(2 * i + 1, name)
        heard.append(call.ask("elicitation/create", name=name, round=i)["said"])
    call.text(heard)


def keep(call, note):
    notes.append(note)
    call.text(notes)


def hang(call, stream=False):
    with lock:
        notes.append(call.id)
    if stream:
        call.progress(0, "hanging")
    gate.wait()


def die(call, how):
    if how.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, how))
    os._exit(int(how))


def odd(call):
    """One answer as a careless stdio server gives it: noise before it, CRLF behind it, every byte alone."""
    answer = {"jsonrpc": "2.0", "id": call.id, "result": {"content": [{"type": "text", "text": "žluťoučký 🐎"}]}}
    with lock:
        call.out.write("Loading… ✓\r\n\r\n\t\n[1, 2]\n{\"not\": \"ours\"}\n".encode())
        for byte in json.dumps(answer, ensure_ascii=False).encode() + b"\r\n":
            call.out.write(bytes([byte]))
            time.sleep(0.0005)


def flood(call, count, size):
    for i in range(count):
        call.progress(i, "x" * size)
    call.text("flooded")


TOOLS = {"mix": mix, "keep": keep, "hang": hang, "die": die, "odd": odd, "flood": flood,
         "echo": lambda call, text: call.text(text),
         "seen": lambda call: call.text({"notes": notes, "cancelled": cancelled, "pid": os.getpid()})}


def handle(out, message):
    """One message of the client; its answers go to out."""
    method = message.get("method")
    if method == "initialize":
        result = {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}, "logging": {}},
                  "serverInfo": {"name": "transparent", "version": "1"}}
        out.message({"jsonrpc": "2.0", "id": message["id"], "result": result})
    elif method == "tools/call":
        call = Call(out, message)
        TOOLS[message["params"]["name"]](call, **call.arguments)
    elif method == "notifications/cancelled":
        cancelled.append(message["params"]["requestId"])
    elif method is None:
        replies[message["id"]][0] = message["result"]
        replies[message["id"]][1].set()


# ---- transports ----


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def plain(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def message(self, message):
        """The answer to initialize."""
        self.plain(200, json.dumps(message).encode(), Content_Type="application/json", Mcp_Session_Id=uuid.uuid4().hex)

    def do_POST(self):
        if self.headers.get("Transfer-Encoding"):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        message = json.loads(body)
        if message.get("method") == "initialize":
            handle(self, message)
        elif "id" in message and "method" in message:
            stream = Stream(self)
            handle(stream, message)
            self.wfile.write(b"0\r\n\r\n")
        else:
            handle(None, message)
            self.plain(202)

    def do_GET(self):
        self.plain(405)

    def do_DELETE(self):
        self.plain(200)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that left is no news


if options.port:
    Server(("127.0.0.1", options.port), Handler).serve_forever()
for line in sys.stdin.buffer:
    threading.Thread(target=handle, args=(Stdio(), json.loads(line)), daemon=True).start()
