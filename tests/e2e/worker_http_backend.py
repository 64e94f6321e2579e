"""An MCP server over HTTP with every habit that real ones have: it redirects /mcp to /mcp/, gives ids
of its own, answers as JSON or as a stream, and has other paths beside the protocol.

    worker_http_backend.py --port N | --socket PATH   [--no-session] [--no-reuse] [--late SECONDS] [--refuse] [--slow]
                           [--stream]
"""

import argparse
import http.server
import json
import os
import select
import socket
import socketserver
import sys
import threading
import time
import uuid

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--socket")
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--no-session", action="store_true")
parser.add_argument("--no-reuse", action="store_true", help="bind without SO_REUSEADDR")
parser.add_argument("--late", type=float, default=0, help="seconds until it listens")
parser.add_argument("--refuse", action="store_true", help="answer every initialize with an error")
parser.add_argument("--slow", action="store_true", help="never answer initialize")
parser.add_argument("--stream", action="store_true", help="answer initialize as an event stream")
options = parser.parse_args()
sessions, cancelled, hanging, gate = {}, [], [], threading.Event()
deleted, left = [], []  # sessions; ids of calls whose connection closed while they waited
heard = []  # of each message, in order: its session, its method and revision by the head, whose it is by X-User
together = threading.Barrier(2)
gates = {}  # of each call of "watch"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def address_string(self):
        return "unix"

    def answer(self, status, body=b"", kind="application/json", **headers):
        body = json.dumps(body).encode() if not isinstance(body, bytes) else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, encoding=None, **headers):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if encoding:
            self.send_header("Content-Encoding", encoding)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, message):
        self.chunk(f"event: message\r\ndata: {json.dumps(message)}\r\n\r\n")

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def echo(self, body=b""):
        self.answer(200, {"path": self.path, "method": self.command, "headers": dict(self.headers.items()),
                          "size": len(body), "env": dict(os.environ)}, X_Custom="kept")

    def route(self):
        body = self.body()
        path = self.path.split("?")[0]
        if path == "/mcp":
            return self.answer(307, Location=f"http://{self.headers['Host']}/mcp/" + self.path[4:])
        if path == "/big":
            return self.answer(200, b"x" * 8_000_000, "application/octet-stream")
        if path == "/gone":
            return self.answer(410, Envmux_Gone="1")
        if path != "/mcp/":
            return self.echo(body)
        return {"POST": self.post, "GET": self.get, "DELETE": self.delete}[self.command](body)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = route

    def get(self, body):
        self.stream()
        last = self.headers.get("Last-Event-ID") or ""
        if last.startswith("response "):
            self.event({"jsonrpc": "2.0", "id": last[9:], "result": {}})
        self.event({"jsonrpc": "2.0", "method": "notifications/hello", "params": {"session": self.headers["Mcp-Session-Id"]}})
        gate.wait()

    def delete(self, body):
        deleted.append(self.headers["Mcp-Session-Id"])
        if sessions.pop(self.headers["Mcp-Session-Id"], None) is None:
            return self.answer(404)
        return self.answer(405, Allow="GET, POST")

    def post(self, body):
        message = json.loads(body)
        method = message.get("method")
        heard.append([self.headers["Mcp-Session-Id"], method, self.headers["MCP-Protocol-Version"], self.headers["X-User"]])
        if method == "initialize":
            if options.refuse:
                return self.answer(200, {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "not you"}})
            if message["params"].get("together"):
                together.wait()
            if message["params"].get("refuse"):
                refusal = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "not you"}}
                if message["params"]["refuse"] == "json":
                    return self.answer(200, refusal)
                self.stream()
                self.event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "hm"}})
                self.event(refusal)
                return self.chunk("")
            made = {} if options.no_session else {"Mcp_Session_Id": "b-" + uuid.uuid4().hex}
            sessions[made.get("Mcp_Session_Id")] = message["params"]
            if options.slow and gate.wait():
                return None
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": {
                "protocolVersion": message["params"]["protocolVersion"], "capabilities": {},
                "serverInfo": {"name": "http-backend", "version": "1"}}}
            if not options.stream:
                return self.answer(200, answer, **made)
            self.stream(**made)
            self.event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "hm"}})
            self.event(answer)
            return self.chunk("")
        if not self.is_modern() and self.headers.get("Mcp-Session-Id") not in sessions:
            return self.answer(404, {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "unknown"}})
        if method == "notifications/cancelled":
            cancelled.append(message["params"]["requestId"])
            if str(cancelled[-1]).startswith("deaf"):
                gate.wait()
        if "id" not in message:
            return self.answer(202)
        return getattr(self, message["params"]["name"])(message, message["params"].get("arguments", {}))

    def is_modern(self):
        return (self.headers.get("MCP-Protocol-Version") or "") >= "2026-07-28"

    # ---- tools ----

    def result(self, message, value):
        return {"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": json.dumps(value)}]}}

    def whoami(self, message, arguments):
        self.answer(200, self.result(message, {"session": self.headers["Mcp-Session-Id"], "host": self.headers["Host"],
                                               "headers": dict(self.headers.items()), "cancelled": cancelled, "hanging": len(hanging), "waiting": hanging,
                                               "deleted": deleted, "left": left, "heard": heard, "pid": os.getpid(),
                                               "params": sessions.get(self.headers["Mcp-Session-Id"])}))

    def count(self, message, arguments):
        self.stream()
        for i in range(arguments["to"]):
            self.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": i}})
        self.event(self.result(message, arguments["to"]))
        self.chunk("")

    def hang(self, message, arguments):
        hanging.append(message["id"])
        if arguments.get("stream"):
            self.stream(arguments.get("encoding"))
            self.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 0}})
        gate.wait()

    def watch(self, message, arguments):
        """Answers when it is told to by "release"; notes when its connection closes before."""
        if arguments.get("stream"):
            self.stream(**arguments.get("headers", {}))
            for text in arguments.get("chunks", []):
                self.chunk(text)
        released = gates.setdefault(message["id"], threading.Event())
        hanging.append(message["id"])
        while not released.wait(0.02):
            if select.select([self.connection], [], [], 0)[0] and not self.connection.recv(1, socket.MSG_PEEK):
                left.append(message["id"])
                return
        if not arguments.get("stream"):
            return self.answer(200, self.result(message, "released"))
        for text in arguments.get("more", []):
            self.chunk(text)
        self.event(self.result(message, "released"))
        self.chunk("")

    def poll(self, message, arguments):
        """Has its client come back for the answer."""
        self.stream()
        self.chunk("id: 1\ndata:\n\n")
        self.chunk("")

    def linger(self, message, arguments):
        """Answers on a stream that does not end."""
        self.stream()
        self.event(self.result(message, "answered"))
        gate.wait()

    def release(self, message, arguments):
        gates.setdefault(arguments["id"], threading.Event()).set()
        self.answer(200, self.result(message, "done"))

    def rounds(self, message, arguments):
        """Asks for input once, as JSON or as a stream, and then says what came back."""
        state = message["params"].get("requestState")
        if state:
            return self.answer(200, self.result(message, {"state": state}))
        asked = {"jsonrpc": "2.0", "id": message["id"], "result": {
            "resultType": "input_required", "requestState": "päge 1", "inputRequests": {}}}
        if not arguments.get("stream"):
            return self.answer(200, asked)
        self.stream()
        self.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 0}})
        self.event(asked)
        self.chunk("")

    def die(self, message, arguments):
        print("last words", file=sys.stderr, flush=True)
        os._exit(3)


class TCP(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    allow_reuse_address = not options.no_reuse

    def handle_error(self, request, client_address):
        pass  # a client that left is no news


class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    handle_error = TCP.handle_error


time.sleep(options.late)
server = Unix(options.socket, Handler) if options.socket else TCP((options.host, options.port), Handler)
server.serve_forever()
