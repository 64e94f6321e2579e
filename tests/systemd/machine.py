"""A machine for a test: the host's own systemd as PID 1 of fresh namespaces, up in half a second.

    with Machine() as machine:
        machine.install("build/deb/envmux_1_amd64.deb")
        machine.systemctl("restart", "envmux")
        machine.show("envmux.service", "NRestarts")              # "0"
        machine.run("envmux ps --json", user="nobody").stdout
        machine.spawn([machine.python, "load.py"])               # goes on until it is stopped
        machine.journal("UNIT=envmux.service")                   # a list of dicts
        machine.cgroups("envmux-sessions.service")               # {"frozen-lake/…/backend": [pids]}
        with machine.network():                                  # this thread's new sockets are the machine's
            client = mcp_client.Client("http://127.0.0.1:8700/s/k/mcp")

Inside, everything installed on this host is there and the repository is at its own path; what is written is
gone when the machine ends. There is no network but its own loopback, so every machine has its own port 8700.
guest.py says what is different inside, facts about cgroups are in cgroup.py.

Pids are those of the machine, unless a name says host.
"""

import contextlib
import itertools
import json
import os
import pathlib
import pwd
import signal
import subprocess
import sys
import time

import cgroup
import guest
import linux
from harness import PATIENCE, ROOT, TOP, wait_until

HERE = pathlib.Path(__file__).resolve().parent
DEBS = pathlib.Path(os.environ.get("ENVMUX_DEBS", TOP / "build" / "deb"))
HIDDEN = ("/tmp", "/run", "/dev", "/proc", "/sys")

# What a command inside needs on this host; systemd itself needs dbus to be asked anything.
PROGRAMS = ("/usr/bin/nsenter", "/usr/bin/setpriv", "/usr/bin/systemctl", guest.SYSTEMD)
DBUS = ("/usr/bin/dbus-daemon", "/usr/bin/dbus-broker")

# A command may not do more than the machine's own processes.
DROP = ",".join(f"-{name}" for name in guest.CAPABILITIES_DROPPED)

# Joins the cgroup, then the namespaces: $1 and what follows are nsenter's arguments.
ENTER = 'echo 0 >"$0" && exec nsenter "$@"'


class Unsupported(Exception):
    """No machine can be booted on this host; the text says why."""


class CommandFailed(AssertionError):
    pass


def why_not():
    """What is not installed here, or None. What the kernel refuses is told by the launcher, which tries."""
    if os.geteuid() != 0:
        return "booting systemd needs root"
    for program in PROGRAMS:
        if not os.access(program, os.X_OK):
            return f"{program} is not installed"
    if not any(os.access(program, os.X_OK) for program in DBUS):
        return "dbus is not installed (neither dbus-daemon nor dbus-broker)"
    return None


def built_packages():
    """What ./dev deb left, without debug symbols."""
    return sorted(path for path in DEBS.glob("*.deb") if "-dbgsym" not in path.name)


def hidden_folders():
    """What tests need inside but which no overlay of the root file system shows."""
    device = os.stat("/").st_dev
    wanted = {TOP, ROOT, pathlib.Path(sys.prefix), pathlib.Path(sys.base_prefix)}
    wanted |= {path.resolve() for path in (TOP / "build").glob("*") if path.is_dir()}
    folders = []
    for path in sorted(path for path in wanted if path.is_dir()):
        below_hidden = any(path.is_relative_to(place) for place in HIDDEN)
        if (below_hidden or path.stat().st_dev != device) and not any(path.is_relative_to(f) for f in folders):
            folders.append(path)
    return [str(folder) for folder in folders]


class Spawned(subprocess.Popen):
    """A command that goes on inside a machine: a Popen, ended with everything that it started."""

    def __init__(self, machine, command, **options):
        self.cgroup = machine.new_cgroup()
        super().__init__(machine.entering(self.cgroup, command, options.pop("user"), options.pop("env"),
                                          options.pop("cwd")), text=True, **options)

    def stop(self):
        """Kills it with all its descendants; returns its status."""
        with contextlib.suppress(FileNotFoundError):
            cgroup.kill(self.cgroup)
        status = self.wait()
        cgroup.remove(self.cgroup)
        return status

    def __exit__(self, *exception):
        self.stop()
        super().__exit__(*exception)


class Machine:
    """One booted machine, from `with` to the end of it. Raises Unsupported where that cannot be."""

    def __init__(self, binds=()):
        self.binds = [*hidden_folders(), *map(str, binds)]
        self.python = sys.executable
        self.counter = itertools.count()
        self.launcher = self.boot_seconds = None

    # ---- its life -------------------------------------------------------------------------------

    def boot(self):
        """What `with` does, for those who must tell its failure from one of the body."""
        reason = why_not()
        if reason:
            raise Unsupported(reason)
        begin = time.monotonic()
        self.launcher = subprocess.Popen([sys.executable, "-S", HERE / "launcher.py", *self.binds], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        try:
            first = self.hear()
            self.cgroup, self.host_pid = pathlib.Path(first["cgroup"]), first["pid"]
            self.hear()
        except BaseException:
            self.end()
            raise
        self.boot_seconds = time.monotonic() - begin

    def __enter__(self):
        if not self.launcher:
            self.boot()
        return self

    def hear(self):
        """The next message of the launcher, which tells of progress."""
        line = self.launcher.stdout.readline()
        message = json.loads(line) if line else {"ended": self.launcher.wait(), "console": ""}
        if "unsupported" in message:
            raise Unsupported(message["unsupported"])
        if "ended" in message:
            raise AssertionError(f"no systemd came up: {message['ended']}\n{message.get('console', '')}")
        return message

    def end(self):
        """Kills everything in it. Raises when something could not be removed."""
        self.launcher.stdin.close()
        self.launcher.stdout.close()
        status = self.launcher.wait(timeout=PATIENCE)
        assert status == 0, f"the launcher ended with status {status}"

    def __exit__(self, *exception):
        self.end()

    # ---- commands -------------------------------------------------------------------------------

    def new_cgroup(self):
        path = self.cgroup / f"run-{next(self.counter)}"
        path.mkdir()
        return path

    def entering(self, path, command, user=None, env=None, cwd=None):
        """The command as the host runs it: in the cgroup `path`, in the machine's namespaces and root."""
        words = ["bash", "-c", command] if isinstance(command, str) else [os.fspath(word) for word in command]
        home, privileges = "/root", ["setpriv", "--bounding-set", DROP]
        if user:
            entry = self.user(user)
            home = entry.pw_dir
            privileges += [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups"]
        environment = {"PATH": guest.ENVIRONMENT["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", "HOME": home,
                       "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        # Not --wd: that would be the host's folder.
        return ["sh", "-c", ENTER, path / "cgroup.procs", "-t", str(self.host_pid), "-m", "-u", "-i", "-n", "-p", "-C",
                "--", "env", "-i", "-C", cwd or "/", *(f"{name}={value}" for name, value in environment.items()),
                *privileges, *words]

    def spawn(self, command, *, user=None, env=None, cwd=None, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
              stderr=None):
        """Starts a command inside and returns its Popen; it ends with stop(), its `with` or the machine."""
        return Spawned(self, command, user=user, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr)

    def run(self, command, *, check=True, user=None, env=None, cwd=None, input="", timeout=PATIENCE):
        """Runs a command line or a list of words inside; returns its CompletedProcess: returncode, stdout, stderr.

        With check a status other than 0 fails the test, with what the command said. A command that
        outlasts `timeout` is killed with its descendants and fails in any case."""
        process = self.spawn(command, user=user, env=env, cwd=cwd, stderr=subprocess.PIPE)
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"still running after {timeout} s: {command}") from None
        finally:
            process.stop()
        if check and process.returncode != 0:
            raise CommandFailed(f"status {process.returncode}: {command}\n{stdout}{stderr}")
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

    def user(self, name):
        """The machine's own passwd entry of a user, who may have come with a package."""
        for line in self.read("/etc/passwd").splitlines():
            fields = line.split(":")
            if fields[0] == name:
                return pwd.struct_passwd((*fields[:2], int(fields[2]), int(fields[3]), *fields[4:]))
        raise KeyError(f"no user {name} in the machine")

    @contextlib.contextmanager
    def network(self):
        """Sockets that this thread makes meanwhile are the machine's, and stay so."""
        with open("/proc/thread-self/ns/net") as here, open(f"/proc/{self.host_pid}/ns/net") as there:
            linux.setns(there.fileno(), linux.CLONE_NEWNET)
            try:
                yield
            finally:
                linux.setns(here.fileno(), linux.CLONE_NEWNET)

    # ---- systemd --------------------------------------------------------------------------------

    def systemctl(self, *words, check=True, timeout=PATIENCE):
        """systemctl's CompletedProcess."""
        return self.run(["systemctl", *words], check=check, timeout=timeout)

    def show(self, unit, name):
        """One property of a unit, as text."""
        return self.systemctl("show", "--value", "--property", name, unit).stdout.strip()

    def main_pid(self, unit):
        """The pid of a unit's main process, 0 when it has none."""
        return int(self.show(unit, "MainPID"))

    def journal(self, *matches):
        """Entries of the journal that match FIELD=VALUE words or other arguments of journalctl, oldest first."""
        self.run(["journalctl", "--sync"])
        output = self.run(["journalctl", "--output=json", "--all", "--no-pager", *matches]).stdout
        return [json.loads(line) for line in output.splitlines()]

    # ---- processes and cgroups ------------------------------------------------------------------

    def kill(self, pid, number=signal.SIGKILL):
        self.run(["kill", f"-{int(number)}", str(pid)])

    def pids(self, path="/"):
        """The pids in a cgroup of the machine (a path as systemd shows it) and everything below it."""
        return sorted(pid for pids in self.tree(path).values() for pid in pids)

    def tree(self, path="/"):
        """The cgroups at and below a path as {path relative to it: [pids]}, "" being itself; {} when there is none."""
        top = self.cgroup / "payload" / path.strip("/")
        found = {}
        for folder, _, _ in os.walk(top):
            with contextlib.suppress(OSError):  # it went meanwhile
                host_pids = (pathlib.Path(folder) / "cgroup.procs").read_text().split()
                name = os.path.relpath(folder, top)
                found["" if name == "." else name] = [pid for pid in map(pid_inside, host_pids) if pid]
        return found

    def cgroups(self, unit):
        """The cgroups of a unit, as tree() tells them."""
        path = self.show(unit, "ControlGroup")
        return self.tree(path) if path else {}

    def command_line(self, pid):
        return self.read(f"/proc/{pid}/cmdline").split("\0")[:-1]

    # ---- files ----------------------------------------------------------------------------------

    def read(self, path):
        """The text of a file inside; FileNotFoundError when it cannot be read."""
        result = self.run(["cat", path], check=False)
        if result.returncode != 0:
            raise FileNotFoundError(result.stderr.strip())
        return result.stdout

    def write(self, path, text, mode=0o644):
        """Writes a file inside, with the folders above it."""
        path = os.fspath(path)
        script = 'mkdir -p "$(dirname "$0")" && cat >"$0" && chmod "$1" "$0"'
        self.run(["sh", "-c", script, path, f"{mode:o}"], input=text)

    def copy(self, source, path):
        """Copies a file of the host's to a path inside, also one in a folder that does not show there."""
        with open(source, "rb") as file, self.spawn(["tee", path], stdin=file, stdout=subprocess.DEVNULL) as process:
            assert process.wait() == 0, path

    def exists(self, path):
        return self.run(["test", "-e", path], check=False).returncode == 0

    def changes(self):
        """The paths of all files and folders that the host has not or not so, those of /run and /tmp among them."""
        # In the upper layer a character device is a file of the host that was removed.
        find = ["find", guest.CHANGES, "/run", "/tmp", "-xdev", "-path", "/run/host", "-prune", "-o", "!", "-type", "c",
                "-print"]
        paths = self.run(find, check=False).stdout.splitlines()
        return {path.removeprefix(guest.CHANGES) for path in paths} - {""}

    def install(self, *packages, timeout=60):
        """Installs .deb files of the host's."""
        names = [f"/var/cache/apt/archives/{pathlib.Path(package).name}" for package in packages]
        for package, name in zip(packages, names):
            self.copy(package, name)
        self.run(["dpkg", "--install", *names], env={"DEBIAN_FRONTEND": "noninteractive"}, timeout=timeout)

    # ---- waiting --------------------------------------------------------------------------------

    def wait_until(self, condition, what, patience=PATIENCE):
        """Polls condition until it is true and returns its value."""
        return wait_until(condition, what, patience)

    def wait_for_state(self, unit, state, patience=PATIENCE):
        """Waits until `systemctl is-active` says so."""
        wait_until(lambda: self.show(unit, "ActiveState") == state, f"{unit} {state}", patience)


def pid_inside(host_pid):
    """The pid that a process has in the innermost namespace, or None when it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{host_pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except OSError:
        pass
    return None
