"""Starts one envmux-worker by hand: its listening socket, its spec, and a supervisor that speaks the
real IPC frames over SOCK_SEQPACKET. Tests talk HTTP to the worker's socket as a router would.

    worker = Worker(tmp_path)                      # runs worker_backend.py
    client = worker.initialize()                   # a client with its transport id
    client.tool("echo", a=1)                       # the tool's text
    worker.supervisor.wait("GONE")                 # the next frame of that type
"""

import ctypes
import fcntl
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

import ipc_frames

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
LIBEXEC = pathlib.Path(os.environ.get("ENVMUX_LIBEXEC", TOP / "build" / "root" / "libexec" / "envmux"))
WORKER = LIBEXEC / "envmux-worker"
BACKEND = pathlib.Path(__file__).resolve().with_name("worker_backend.py")
PATIENCE = float(os.environ.get("ENVMUX_TEST_PATIENCE", 30))
REASONS = re.findall(r"^REASON\((\w+)", (TOP / "common" / "reason.def").read_text(), re.M)

IDLE, DELETED, BACKEND_EXITED, START_FAILED, START_TIMEOUT, STOPPED, REPLACED = range(1, 8)


class Frame:
    def __init__(self, data):
        _, number, self.cookie, body_size, blob_size = ipc_frames.HEADER.unpack_from(data)
        self.type = ipc_frames.NAMES[number]
        self.body = ipc_frames.MESSAGES[self.type][1].from_buffer_copy(data, ipc_frames.HEADER.size)
        self.blob = data[ipc_frames.HEADER.size + body_size :]
        assert len(self.blob) == blob_size and body_size == ctypes.sizeof(self.body)

    def __repr__(self):
        return f"{self.type} " + str({name: getattr(self.body, name) for name, _ in self.body._fields_})


class Supervisor:
    """Accepts the worker as often as it comes; keeps every frame in order."""

    def __init__(self, path):
        self.path, self.frames, self.connections, self.taken = path, [], 0, 0
        self.changed = threading.Condition()
        self.peer = self.listener = None
        self.listen()

    def listen(self):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(self.path))
        listener.listen(8)
        self.listener = listener
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                self.peer, self.connections = peer, self.connections + 1
            while data := self._receive(peer):
                frame = Frame(data)
                if frame.type == "HELLO":
                    self._welcome(peer)
                with self.changed:
                    self.frames.append(frame)
                    self.changed.notify_all()

    def _welcome(self, peer):
        try:
            peer.send(ipc_frames.pack("WELCOME", version=1))
        except OSError:  # killed at the end of its test
            pass

    @staticmethod
    def _receive(peer):
        try:
            return peer.recv(128 * 1024)
        except OSError:
            return b""

    def send(self, name, cookie=0, **members):
        self.peer.send(ipc_frames.pack(name, cookie, **members))

    def wait(self, name, matches=lambda frame: True, since=0):
        """The first frame from index since on that matches."""
        deadline = time.monotonic() + PATIENCE
        with self.changed:
            while True:
                for frame in self.frames[since:]:
                    if frame.type == name and matches(frame):
                        return frame
                left = deadline - time.monotonic()
                assert left > 0, f"no {name} in {self.frames[since:]}"
                self.changed.wait(left)

    def count(self, name):
        with self.changed:
            return sum(frame.type == name for frame in self.frames)

    def index(self, frame):
        with self.changed:
            return self.frames.index(frame)

    def disconnect(self):
        """As if the supervisor had died: nobody listens, the connection ends."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)
        self.peer.shutdown(socket.SHUT_RDWR)
        self.peer.close()

    def close(self):
        self.listener.close()
        if self.peer:
            self.peer.close()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("worker", timeout=PATIENCE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Response:
    """An answer whose body is read as it is asked for."""

    def __init__(self, connection, raw):
        self.connection, self.raw = connection, raw
        self.status, self.headers = raw.status, raw.headers
        self.last_event_id = self.retry = None
        self.type = (raw.headers.get("Content-Type") or "").split(";")[0]

    def event(self):
        """The next message of the event stream; None at its end. What only primes a client is passed over."""
        data = None
        while line := self.raw.readline():
            name, _, value = line.decode().rstrip("\r\n").partition(":")
            if name == "data":
                data = value.lstrip()
            elif name == "id":
                self.last_event_id = value.lstrip()
            elif name == "retry":
                self.retry = int(value)
            elif line.isspace() and data:
                return json.loads(data)
        return None

    def events(self):
        return list(iter(self.event, None))

    def body(self):
        return self.raw.read()

    def message(self):
        """The one message of a JSON answer, or the last of an event stream."""
        if self.type == "text/event-stream":
            return self.events()[-1]
        return json.loads(self.body())

    def close(self):
        self.connection.close()


POST_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


class Client:
    def __init__(self, worker, transport_id, version="2025-11-25"):
        self.worker, self.transport_id, self.version, self.last_id = worker, transport_id, version, 0

    def headers(self, **more):
        headers = {"Mcp-Session-Id": self.transport_id, "MCP-Protocol-Version": self.version}
        return headers | {name.replace("_", "-"): value for name, value in more.items()}

    def post(self, message, **headers):
        return self.worker.post(message, self.headers(**headers))

    def start(self, name, arguments=None, id=None, token=None):
        """Sends a tools/call and returns at once; the answer is read with wait()."""
        self.last_id += 1
        params = {"name": name, "arguments": arguments or {}}
        if token is not None:
            params["_meta"] = {"progressToken": token}
        body = {"jsonrpc": "2.0", "id": self.last_id if id is None else id, "method": "tools/call", "params": params}
        return self.worker.begin("POST", "/mcp", json.dumps(body), POST_HEADERS | self.headers())

    def call(self, tool, /, **arguments):
        return self.worker.finish(self.start(tool, arguments)).message()

    def tool(self, tool, /, **arguments):
        text = self.call(tool, **arguments)["result"]["content"][0]["text"]
        try:
            return json.loads(text)
        except ValueError:
            return text

    def get(self, **headers):
        return self.worker.request("GET", "/mcp", None, {"Accept": "text/event-stream"} | self.headers(**headers))

    def resume(self, event_id):
        return self.get(Last_Event_ID=event_id)

    def delete(self):
        return self.worker.request("DELETE", "/mcp", None, {"Accept": "*/*"} | self.headers())


class Worker:
    def __init__(self, folder, command=None, args=(), listen_supervisor=True, **spec):
        self.folder = pathlib.Path(folder)
        (self.folder / "work").mkdir(exist_ok=True)
        self.socket_path = self.folder / "s"
        self.supervisor = Supervisor(self.folder / "supervisor") if listen_supervisor else None
        self.minted = 0
        command = command or [sys.executable, str(BACKEND)]
        self.spec = {
            "id": "00112233445566ff", "server": "test", "key": "the-key", "kind": "named", "generation": 3,
            "token": "f" * 32, "transport": "stdio", "command": command[0], "args": [*command[1:], *args],
            "env": [], "values": {"seed": "42", "session": "00112233445566ff", "workspace": str(self.folder / "work")},
            "tmp": str(self.folder / "work"), "awaits_request": True, "idle_usec": 0, "start_usec": 20_000_000,
            "request_usec": 20_000_000, "drain_usec": 1_000_000, "rung_usec": 500_000,
            "message_bytes_max": 32 << 20, "buffer_bytes_max": 128 << 20, "log_bytes_max": 256 << 10,
        } | spec
        self.process = self._spawn()

    def _spawn(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket_path))
        listener.listen(64)
        memfd = os.memfd_create("spec")
        os.write(memfd, json.dumps(self.spec).encode())
        null = os.open("/dev/null", os.O_RDWR)
        # Away from 3, 4, 5 first: the numbers may be each other's targets.
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (listener.fileno(), memfd, null)]

        def move():
            for i, fd in enumerate(fds):
                os.dup2(fd, 3 + i, inheritable=True)

        with open(self.folder / "stderr", "wb") as stderr:
            process = subprocess.Popen([WORKER, "test/" + self.spec["id"]], cwd=self.folder, preexec_fn=move,
                                       close_fds=False, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
        for fd in (*fds, memfd, null):
            os.close(fd)
        listener.close()
        return process

    # ---- HTTP ----

    def begin(self, method, path, body=None, headers=None):
        connection = UnixConnection(self.socket_path)
        connection.request(method, path, body, headers or {})
        return connection

    @staticmethod
    def finish(connection):
        return Response(connection, connection.getresponse())

    def request(self, *arguments):
        return self.finish(self.begin(*arguments))

    def post(self, message, headers=None):
        body = message if isinstance(message, (str, bytes)) else json.dumps(message)
        return self.request("POST", "/mcp", body, POST_HEADERS | (headers or {}))

    def start_initialize(self, id=0, version="2025-11-25", client_info=None, params=None, headers=None):
        self.minted += 1
        transport = f"minted-{self.minted}"
        params = {"protocolVersion": version, "capabilities": {},
                  "clientInfo": client_info or {"name": "test", "version": "1"}} | (params or {})
        message = {"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params}
        more = POST_HEADERS | {"Envmux-Transport": transport} | (headers or {})
        return transport, self.begin("POST", "/mcp", json.dumps(message), more)

    def initialize(self, version="2025-11-25", is_complete=True, **options):
        transport, connection = self.start_initialize(version=version, **options)
        answer = self.finish(connection)
        client = Client(self, answer.headers.get("Mcp-Session-Id"), version)
        client.answer, client.result = answer, answer.message()
        assert client.transport_id == transport, (answer.status, client.result)
        if is_complete:
            assert client.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202
        return client

    # ---- its end ----

    def descendants(self):
        found, parents = [], [self.process.pid]
        while parents:
            try:
                with open(f"/proc/{parents[0]}/task/{parents[0]}/children") as file:
                    children = [int(word) for word in file.read().split()]
            except OSError:
                children = []
            found += children
            parents = parents[1:] + children
        return found

    def wait_exit(self):
        status = self.process.wait(PATIENCE)
        assert status == 0, (status, self.stderr())
        return status

    def stderr(self):
        return (self.folder / "stderr").read_text(errors="replace")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.supervisor:
            self.supervisor.close()
