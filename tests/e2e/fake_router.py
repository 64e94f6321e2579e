"""A router that a test plays against a real supervisor, in the place of the run's own one."""

import contextlib
import signal
import socket

import ipc_frames
from harness import PATIENCE, wait_until

OK, UNKNOWN, FAILED, LEGACY = range(4)  # enum resolve_code


class Router:
    """Takes the place of the one router of a run, which is stopped meanwhile, and gives it back."""

    def __init__(self, run):
        self.run, self.sock, self.cookie = run, None, 0
        self.real = run.routers()[0]
        self.real.kill(signal.SIGSTOP)
        self.connect()

    def connect(self):
        """Reads the dump; what the servers' eras are in it."""
        if self.sock:
            self.sock.close()
        token = (self.run.runtime / "routers" / "0").read_text().split()[0]
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(PATIENCE)
        wait_until(self.try_connect, "the supervisor's socket")
        self.sock.send(ipc_frames.pack("HELLO", role=2, pid=self.real.pid, session_id="0", token=token))
        self.eras, self.frames = {}, []
        while self.read().name != "DUMP_END":
            pass

    def try_connect(self):
        with contextlib.suppress(OSError):
            self.sock.connect(str(self.run.runtime / "sockets" / "supervisor"))
            return True
        return False

    def read(self):
        data = self.sock.recv(ipc_frames.FRAME_MAX)
        assert data, "the supervisor closed the connection"
        frame = ipc_frames.Frame(data)
        self.frames.append(frame)
        if frame.name == "PING":
            self.sock.send(ipc_frames.pack("PONG", frame.cookie))
        if frame.name == "SERVER":
            self.eras[frame.body.name.decode()] = frame.era
        return frame

    def ask(self, server, key="k", kind=ipc_frames.KEY_NAMED, is_modern=1):
        self.cookie += 1
        self.sock.send(ipc_frames.pack("RESOLVE", self.cookie, server=server, key=key, kind=kind, may_create=1,
                                       is_modern=is_modern))
        return self.cookie

    def answer(self, cookie):
        while True:
            for frame in self.frames:
                if frame.name == "RESOLVED" and frame.cookie == cookie:
                    return frame
            self.read()

    def resolve(self, server, **options):
        return self.answer(self.ask(server, **options))

    def close(self):
        self.real.kill(signal.SIGCONT)
        self.sock.close()
