"""A service manager for one supervisor: sd_listen_fds, sd_notify, the FD store and the watchdog, so that a test
sees every notice and may start the supervisor again as systemd would.

    def test_something(managed):          # the fixture below
        service = managed({...}, watchdog=2)
        service.wait_for("WATCHDOG=1")    # a notice that comes from now on
        service.status()                  # the newest STATUS=
        service.url, service.process, service.routers(), service.ctl("ps")
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading

import pytest

from harness import ENVMUX, LIBEXEC, PATIENCE, descendants_of


class Service:
    def __init__(self, folder, config, watchdog=0, libexec=LIBEXEC):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "envmux.json"
        self.write_config(config)
        self.watchdog, self.libexec = watchdog, pathlib.Path(libexec)
        self.control = self.folder / "control"
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.folder / "notify"))
        self.store, self.notices, self.heard = {}, [], threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()
        self.process = None
        self.start()

    def write_config(self, config):
        self.config.write_text(json.dumps(config))

    def start(self):
        """A first start, or one after the process has died; returns once it is READY."""
        names, fds = ["http"], [self.listener.fileno()]
        for name, fd in self.store.items():
            names.append(name)
            fds.append(fd)
        env = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify"), "LISTEN_FDS": str(len(fds)),
               "LISTEN_FDNAMES": ":".join(names)}
        if self.watchdog:
            env["WATCHDOG_USEC"] = str(int(self.watchdog * 1e6))
        script = 'export LISTEN_PID=$$; [ -z "$WATCHDOG_USEC" ] || export WATCHDOG_PID=$$; exec "$@"'

        def place():
            high = [os.dup(fd) for fd in fds]
            for i, fd in enumerate(high):
                os.dup2(fd, 100 + i)
            for i in range(len(fds)):
                os.dup2(100 + i, 3 + i)

        at = len(self.notices)
        self.log = open(self.folder / "log", "a+")
        self.process = subprocess.Popen(
            ["sh", "-c", script, "sh", self.libexec / "envmux-supervisor", "--config", self.config, "--runtime",
             self.folder / "run", "--state", self.folder / "state", "--control", self.control],
            env=env, preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stderr=self.log, stdout=self.log)
        self.wait_for("READY=1", at)

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                data, fds, _, _ = socket.recv_fds(self.notify, 8192, 16)
                if not data:
                    return
                lines = data.decode().splitlines()
                with self.heard:
                    if "FDSTORE=1" in lines:
                        name = [line for line in lines if line.startswith("FDNAME=")][0][7:]
                        self.store[name] = fds.pop()
                    for fd in fds:
                        os.close(fd)
                    self.notices += lines
                    self.heard.notify_all()

    def now(self):
        """A place in the notices, for wait_for."""
        return len(self.notices)

    def wait_for(self, notice, since=None, patience=PATIENCE):
        """Waits for a line that begins so and came after since (now), and returns it."""
        since = len(self.notices) if since is None else since

        def found():
            return next((line for line in self.notices[since:] if line.startswith(notice)), None)

        with self.heard:
            if not self.heard.wait_for(lambda: found() or self.process.poll() is not None, patience) or not found():
                raise AssertionError(f"no {notice}: {self.notices[since:]}\n{self.text()}")
            return found()

    def status(self):
        return next((line[7:] for line in reversed(self.notices) if line.startswith("STATUS=")), None)

    def text(self):
        return (self.folder / "log").read_text()

    def processes(self, name):
        return [p for p in descendants_of(self.process.pid) if p.name == name[:15]]

    def routers(self):
        return self.processes("envmux-router")

    def workers(self):
        return self.processes("envmux-worker")

    def mcp(self, key, server="lake"):
        return f"{self.url}/{server}/s/{key}/mcp"

    def ctl(self, command, *arguments, check=True):
        return subprocess.run([ENVMUX, command, "--control", self.control, *arguments], check=check, text=True,
                              capture_output=True, timeout=PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        finally:
            left = descendants_of(self.process.pid) if self.process.poll() is None else []
            for process in left:
                process.kill()
            if self.process.poll() is None:
                self.process.kill()
            self.notify.close()
            self.listener.close()
            for fd in self.store.values():
                os.close(fd)
        assert status == 0 and "Sanitizer" not in self.text(), self.text()
        assert not (self.folder / "control").exists(), "the control socket is left"


@pytest.fixture
def managed(tmp_path_factory):
    services = []

    def start(*arguments, **options):
        services.append(Service(tmp_path_factory.mktemp("m"), *arguments, **options))
        return services[-1]

    yield start
    for service in services:
        service.stop()


