"""Runs envmux for a test and proves afterwards that nothing of it is left.

    def test_something(envmux):                       # the fixture of conftest.py
        run = envmux({"mcpServers": {"lake": {...}}})  # or a path, or envmux(command=[...])
        run.url                                        # http://127.0.0.1:PORT
        run.mcp("lake", key="k")                       # http://127.0.0.1:PORT/lake/s/k/mcp
        run.ctl("ps", "--json")                        # `envmux ps` on its control socket
        run.sessions()                                 # its parsed `ps --json`, without probes
        run.supervisor(), run.routers(), run.workers() # Processes, by name
        run.stop()                                     # or at the end of the test

Every run has a folder of its own for its control socket, runtime and state. When a run stops
normally, stop() asserts: exit status 0, and of everything that descended from it no process, no
socket, no workspace and no cgroup is left. A run that a test kills with SIGKILL is checked with
assert_nothing_left() by that test, once it says what should happen.

mcp_client.Client is a small MCP client for tests that look at what goes over the wire or need no
SDK; programs for the official SDKs are in clients/ and node/, VENV_MCP2 and NODE_MODULES say where
the SDKs live.

Processes are named by pid and start time, so that a recycled pid is never taken for one of ours.
Nothing here sleeps: wait_until polls a condition against a deadline.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import pwd
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
ROOT = pathlib.Path(os.environ.get("ENVMUX_ROOT", TOP / "build" / "root"))
ENVMUX = ROOT / "bin" / "envmux"
LIBEXEC = ROOT / "libexec" / "envmux"
EXAMPLES = TOP / "examples"
VENV_MCP2 = TOP / "build" / "venv-mcp2"  # the Python SDK 2.x lives apart from 1.x
NODE_MODULES = TOP / "build" / "node" / "node_modules"

# Everything a wait in a test may take on a busy machine; a test that needs it has failed already.
PATIENCE = float(os.environ.get("ENVMUX_TEST_PATIENCE", 30))


def wait_until(condition, what, patience=PATIENCE):
    """Polls condition until it is true and returns its value; fails with `what` after patience seconds."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(0.01)


# ---- processes ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Process:
    """One process for as long as it lives; pid and start time together are unique."""

    pid: int
    start: int
    parent: int = dataclasses.field(compare=False)
    name: str = dataclasses.field(compare=False)

    @staticmethod
    def read(pid):
        """The process, or None when there is none (a zombie counts as none)."""
        try:
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        name, rest = text[text.index("(") + 1 :].rsplit(") ", 1)
        fields = rest.split()
        if fields[0] in "ZX":
            return None
        return Process(int(pid), int(fields[19]), int(fields[1]), name)

    def exists(self):
        return Process.read(self.pid) == self

    def kill(self, number=signal.SIGKILL):
        if self.exists():
            os.kill(self.pid, number)

    def command_line(self):
        try:
            words = pathlib.Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return []
        return [word.decode(errors="replace") for word in words[:-1]]

    def cgroup(self):
        """Path inside cgroup v2, or None."""
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{self.pid}/cgroup").read_text().splitlines():
                if line.startswith("0::"):
                    return line[3:]
        return None

    def fd_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def __str__(self):
        return f"{self.pid} {' '.join(self.command_line()) or self.name}"


def all_processes():
    found = (Process.read(name) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process]


def descendants_of(pid):
    """Every live process below pid."""
    children = {}
    for process in all_processes():
        children.setdefault(process.parent, []).append(process)
    below, todo = [], [pid]
    while todo:
        below.extend(children.get(todo[-1], []))
        todo.extend(child.pid for child in children.get(todo.pop(), []))
    return below


def as_user(user):
    """Arguments of subprocess.Popen that start a program as that user, of its group alone; {} for None."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


def cgroup_mount():
    """Where cgroup v2 is mounted, or None."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, place, kind = line.split()[:3]
        if kind == "cgroup2":
            return pathlib.Path(place)
    return None


# ---- one run ------------------------------------------------------------------------------------


class Envmux:
    """`envmux run` with everything private; see the text above."""

    def __init__(self, folder, config=None, *, command=None, arguments=(), env=None, user=None, program=ENVMUX):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.control = self.folder / "control"
        self.runtime = self.folder / "control.d"
        self.state = self.folder / "state"
        self.url = None
        self.seen = set()       # every process that ever descended from it, as far as we looked
        self.cgroups = set()
        self._log = []
        self._ready = threading.Event()
        if isinstance(config, dict):
            path = self.folder / "config.json"
            path.write_text(json.dumps(config, indent=2))
            config = path
        served = ["--", *map(str, command)] if command else [str(config)]
        self.process = subprocess.Popen(
            [program, "run", "--listen", "127.0.0.1:0", "--control", self.control, *arguments, *served],
            env={**os.environ, "XDG_STATE_HOME": str(self.state), **(env or {})}, **as_user(user),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(PATIENCE) or not self.url:
            self.kill_everything()
            raise AssertionError("envmux run did not get ready:\n" + self.log())
        self.look()

    def _read(self):
        for line in self.process.stdout:
            self._log.append(line)
            if line.startswith("Ready at "):
                self.url = line.split()[2].rstrip(",;")
                self._ready.set()
        self.process.stdout.close()
        self._ready.set()

    def log(self):
        """All it wrote so far."""
        return "".join(self._log)

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def mcp(self, server=None, key=None, query=""):
        """The MCP URL of a server (None: the default one), of one session when a key is given."""
        parts = [self.url, *([server] if server else []), *(["s", key] if key is not None else []), "mcp"]
        return "/".join(parts) + (f"?{query}" if query else "")

    # -- looking

    def look(self):
        """Remembers the processes and cgroups there are now, for the check at the end."""
        below = descendants_of(self.process.pid)
        self.seen.update(below)
        mount = cgroup_mount()
        own = Process.read(os.getpid()).cgroup()
        for process in below:
            cgroup = process.cgroup()
            if mount and cgroup and cgroup != own:
                self.cgroups.add(mount / cgroup.lstrip("/"))
        return below

    def _named(self, name):
        return [process for process in self.look() if process.name == name[:15]]

    def supervisor(self):
        return wait_until(lambda: self._named("envmux-supervisor"), "a supervisor")[0]

    def routers(self):
        return self._named("envmux-router")

    def workers(self):
        return self._named("envmux-worker")

    def backends(self):
        """The direct children of the workers."""
        workers = {worker.pid for worker in self.workers()}
        return [process for process in self.look() if process.parent in workers]

    # -- asking

    def ctl(self, *arguments, check=True, timeout=PATIENCE):
        """Runs `envmux COMMAND …` with --control; returns the CompletedProcess."""
        self.look()
        command, *rest = map(str, arguments)
        done = subprocess.run([ENVMUX, command, "--control", self.control, *rest], capture_output=True, text=True,
                              timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"envmux {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def sessions(self):
        """`envmux ps --json` without probes, which end when they have found out what they came for: a list of objects."""
        return [session for session in json.loads(self.ctl("ps", "--json").stdout) if session["kind"] != "probe"]

    def http(self, method, path, body=None, headers=None, timeout=PATIENCE):
        """One plain request; returns (status, headers, bytes) whatever the status."""
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        headers = {"Content-Type": "application/json", **(headers or {})} if data is not None else headers or {}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    # -- ending

    def stop(self, signal_number=signal.SIGTERM):
        """Ends it as a user would and proves that nothing is left."""
        if self.process.poll() is None:
            self.look()
            self.process.send_signal(signal_number)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise AssertionError("envmux run did not end:\n" + self.log()) from None
        self._reader.join(PATIENCE)
        assert self.process.returncode == 0, f"exit status {self.process.returncode}\n{self.log()}"
        assert not re.search("(Address|Leak)Sanitizer|runtime error:", self.log()), self.log()
        self.assert_nothing_left()

    def assert_nothing_left(self):
        left = [f"process {process}" for process in self.seen if process.exists()]
        left += [f"folder {path}" for path in (self.runtime, self.control) if path.exists()]
        left += [f"workspace {path}" for path in self.state.glob("envmux/*")]
        left += [f"cgroup {path}" for path in self.cgroups if path.exists()]
        if left:
            self.kill_everything()
        assert not left, "left behind:\n" + "\n".join(left) + "\n" + self.log()

    def kill_everything(self):
        """The last resort of a failing test: what was seen to descend from this run is killed."""
        if self.process.poll() is None:
            self.look()
            self.process.kill()
            self.process.wait()
        for process in self.seen:
            process.kill()
