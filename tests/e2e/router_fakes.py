"""A router between a supervisor and workers that the test plays itself, step by step."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

import ipc_frames
from harness import LIBEXEC
from http_wire import PATIENCE, Client, Wire

TOKEN = "0123456789abcdef0123456789abcdef"
STDIO, HTTP = 0, 1
OK, UNKNOWN, FAILED, LEGACY = range(4)  # enum resolve_code
NAMED_AND_TRANSPORT = 1 << ipc_frames.KEY_NAMED | 1 << ipc_frames.KEY_TRANSPORT

# fd 3 is part of the contract, and the number that the test's socket has is not for it to choose
LAUNCH = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"


class Link:
    """One connection of the router to the supervisor."""

    def __init__(self, sock):
        sock.settimeout(PATIENCE)
        self.sock = sock

    def send(self, frame, /, cookie=0, blob=b"", **values):
        self.sock.send(ipc_frames.pack(frame, cookie, blob, **values))

    def receive(self):
        """The next frame that is not a counter."""
        while True:
            data = self.sock.recv(ipc_frames.FRAME_MAX)
            assert data, "the router closed its connection"
            frame = ipc_frames.Frame(data)
            if frame.name != "ROUTER_STATUS":
                return frame

    def expect(self, name):
        frame = self.receive()
        assert frame.name == name, f"{frame.name} instead of {name}"
        return frame

    def expect_nothing(self):
        """Nothing was asked. To be called when a later event was seen, such as the answer."""
        self.sock.setblocking(False)
        try:
            while True:
                frame = ipc_frames.Frame(self.sock.recv(ipc_frames.FRAME_MAX))
                assert frame.name == "ROUTER_STATUS", f"unexpected {frame.name}"
        except BlockingIOError:
            pass
        finally:
            self.sock.settimeout(PATIENCE)

    def put_session(self, id, key, kind=ipc_frames.KEY_TRANSPORT, server="lake", generation=1):
        self.send("SESSION", id=id, server=server, key=key, kind=kind, generation=generation)

    def resolved(self, question, id, is_created=1):
        session = {"id": id, "server": question.server, "key": question.key, "kind": question.kind, "generation": 1}
        self.send("RESOLVED", question.cookie, code=0, is_created=is_created, session=session)

    def resolve_failed(self, question, code, blob=b""):
        self.send("RESOLVED", question.cookie, blob, code=code)

    def close(self):
        self.sock.close()


class Worker:
    """The socket of one session; connections are accepted by the test."""

    def __init__(self, folder, id):
        self.path = folder / id
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        self.listener.settimeout(PATIENCE)

    def accept(self):
        return Wire(self.listener.accept()[0])

    def take(self):
        """Accepts a connection and reads one request: both."""
        wire = self.accept()
        return wire, wire.read_message()

    def has_no_connection(self):
        self.listener.setblocking(False)
        try:
            self.listener.accept()
            return False
        except BlockingIOError:
            return True
        finally:
            self.listener.settimeout(PATIENCE)

    def die(self):
        """The listener is gone, its name stays: connections are refused."""
        self.listener.close()


class Router:
    """envmux-router with its working folder, its listener and its supervisor."""

    config = {
        "body_bytes_max": 512 * 1024 * 1024,
        "resolve_timeout_usec": PATIENCE * 1_000_000,
        "client_idle_usec": 60_000_000,
        "clients_max": 100,
        "head_bytes_max": 32768,
        "session_header": "Envmux-Session",
    }
    servers = [
        {"name": "lake", "is_default": 1, "transport": STDIO, "keys": NAMED_AND_TRANSPORT},
        {"name": "web", "transport": HTTP, "keys": NAMED_AND_TRANSPORT},
        {"name": "hashed", "transport": HTTP, "keys": NAMED_AND_TRANSPORT | 1 << ipc_frames.KEY_CLIENT},
    ]

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="er"))  # socket paths must stay short
        self.supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.supervisor.bind(str(self.folder / "supervisor"))
        self.supervisor.listen(8)
        self.supervisor.settimeout(PATIENCE)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.resources = [self.supervisor, self.listener]
        arguments = ["--slot", "3", "--token", TOKEN, "--listeners", "1"]
        fd = self.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", LAUNCH, str(fd), str(LIBEXEC / "envmux-router"), *arguments],
            cwd=self.folder,
            pass_fds=(fd,),
        )

    def accept_link(self):
        link = Link(self.supervisor.accept()[0])
        self.resources.append(link)
        self.hello = link.expect("HELLO")
        return link

    def dump(self, link, sessions=(), allowed=b"", servers=None, **config):
        """WELCOME to DUMP_END; sessions are keyword dictionaries of Link.put_session."""
        link.send("WELCOME", version=1)
        link.send("ROUTER_CONFIG", blob=allowed, **{**self.config, **config})
        for server in self.servers if servers is None else servers:
            link.send("SERVER", **server)
        for session in sessions:
            link.put_session(**session)
        link.send("DUMP_END")

    def connect(self, sessions=(), **options):
        """Accepts the router's connection and lets clients in."""
        link = self.accept_link()
        self.dump(link, sessions, **options)
        return link

    def settle(self, link):
        """Returns when the router has handled everything that link has sent so far."""
        client = self.client()
        client.start("GET", "/lake/mcp", [("Mcp-Session-Id", "barrier")])
        link.resolve_failed(link.expect("RESOLVE"), UNKNOWN)
        assert client.read_message().status == 404
        client.close()

    def refuse_links(self):
        """The supervisor is gone for good: its socket refuses."""
        self.supervisor.close()

    def worker(self, id):
        worker = Worker(self.folder, id)
        self.resources.append(worker.listener)
        return worker

    def client(self):
        client = Client(self.port)
        self.resources.append(client)
        return client

    def memory_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def open_fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        """Ends the router; it must have lived until now and exit with 0."""
        for resource in self.resources:
            resource.close()
        was_alive = self.process.poll() is None
        if was_alive:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
        assert status == 0, f"the router ended with {status}{'' if was_alive else ', before its time'}"


# ---- for the tests ------------------------------------------------------------------------------

JSON = ("Content-Type", "application/json")
SESSION = ("Mcp-Session-Id", "t1")
LIVE = {"id": "s1", "key": "t1"}  # a session of the dump, reached by SESSION


@pytest.fixture
def router():
    router = Router()
    yield router
    router.stop()


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        yield pool


def call(id=1, method="tools/call", **params):
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode()


def client_info(**extra):
    info = {"name": "reward-kit", "version": "1.0.0"}
    return {**info, "_extra": extra} if extra else info


def initialize(id=0, **extra):
    return call(id, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client_info(**extra))


STATELESS = "2026-07-28"
MODERN = ("MCP-Protocol-Version", STATELESS)
PREFIX = "io.modelcontextprotocol/"


def stateless(id=0, method="tools/call", meta=(), extra=(), **params):
    """A request of MCP 2026-07-28; meta: further entries of _meta, extra: clientInfo._extra."""
    envelope = {
        PREFIX + "protocolVersion": STATELESS,
        PREFIX + "clientCapabilities": {},
        PREFIX + "clientInfo": client_info(**dict(extra)),
    }
    return call(id, method, _meta={**envelope, **dict(meta)}, **params)
