"""`envmux run` as a host: the same protocol as systemd's, tried with a stand-in supervisor that a
test can tell what to do. The stand-in lies beside a copy of the binary, where it is looked for
first; it reports each start as one line of JSON."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from harness import ENVMUX, descendants_of, wait_until

STAND_IN = r"""#!%(python)s
import array, json, os, signal, socket, subprocess, sys
if "--check" in sys.argv:
    sys.exit(%(check_status)d)
names = os.environ["LISTEN_FDNAMES"].split(":")
assert int(os.environ["LISTEN_PID"]) == os.getpid()
assert int(os.environ["LISTEN_FDS"]) == len(names)

def notify(text, *fds):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(os.environ["NOTIFY_SOCKET"])
        socket.send_fds(s, [text.encode()], list(fds)) if fds else s.send(text.encode())

report = open(os.environ["REPORT"], "a")
def say(**what):
    report.write(json.dumps(what) + "\n"); report.flush()

signal.signal(signal.SIGTERM, lambda *_: (say(stopped=os.getpid()), notify("STOPPING=1"), os._exit(0)))
stored = [socket.socket(fileno=3 + i).getsockname() for i, n in enumerate(names) if n == "kept"]
say(pid=os.getpid(), names=names, stored=stored, argv=sys.argv[1:], sid=os.getsid(0))
%(body)s
notify("READY=1\nSTATUS=up")
while True:
    signal.pause()
"""

STORE = """
if not stored:
    kept = socket.socket(socket.AF_UNIX); kept.bind(os.environ["REPORT"] + ".kept"); kept.listen()
    notify("FDSTORE=1\\nFDNAME=kept", kept.fileno())
"""
CONTROL = """
import threading
control = socket.socket(socket.AF_UNIX); control.bind(sys.argv[sys.argv.index("--control") + 1]); control.listen()
def answer():
    client = control.accept()[0]
    say(asked=json.loads(client.recv(1000).rstrip(b"\\0")))
    servers = [{"name": "lake", "path": "/mcp", "is_default": True}, {"name": "pond", "path": "/pond/mcp"}]
    client.sendall(json.dumps({"parameters": {"addresses": [], "servers": servers}}).encode() + b"\\0")
threading.Thread(target=answer, daemon=True).start()
"""
ORPHAN = """
subprocess.Popen(["setsid", "sh", "-c", "sleep 1000 & sleep 1000 & wait"])
"""


class StandIn:
    """`envmux run` around a stand-in supervisor."""

    def __init__(self, tmp_path, body="", check_status=0):
        self.tmp = tmp_path
        (tmp_path / "bin").mkdir()
        shutil.copy(ENVMUX, tmp_path / "bin" / "envmux")
        script = tmp_path / "bin" / "envmux-supervisor"
        script.write_text(STAND_IN % {"python": sys.executable, "body": body, "check_status": check_status})
        script.chmod(0o755)
        self.report = tmp_path / "report"
        self.report.touch()
        self.control = tmp_path / "c"
        self.run = None

    def start(self, *arguments):
        env = dict(os.environ, REPORT=str(self.report), XDG_STATE_HOME=str(self.tmp / "state"))
        command = [self.tmp / "bin" / "envmux", "run", "--listen", "127.0.0.1:0", "--control", self.control]
        self.run = subprocess.Popen([*command, *(arguments or ("--", "cat"))], env=env, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return self

    def lines(self):
        return [json.loads(line) for line in self.report.read_text().splitlines()]

    def wait_starts(self, n):
        wait_until(lambda: sum("pid" in line for line in self.lines()) >= n, f"{n} starts of the supervisor")
        return [line for line in self.lines() if "pid" in line]

    def ready_line(self):
        line = self.run.stdout.readline()
        assert line.startswith("Ready at http://127.0.0.1:"), line + self.run.stderr.read()
        return line

    def end(self, signal_number=signal.SIGTERM):
        self.run.send_signal(signal_number)
        return self.run.communicate(timeout=20)


@pytest.fixture
def stand_in(tmp_path):
    made = []

    def make(**options):
        made.append(StandIn(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        if one.run and one.run.poll() is None:
            one.run.kill()
            one.run.wait()


def test_a_reader_that_left_ends_nothing_in_disorder(stand_in):
    host = stand_in(body='import time\nwhile not os.path.exists(os.environ["REPORT"] + ".go"): time.sleep(0.01)\n').start()
    host.wait_starts(1)
    host.run.stdout.close()
    pathlib.Path(str(host.report) + ".go").touch()
    assert host.run.wait(20) >= 0  # not by SIGPIPE
    assert any("stopped" in line for line in host.lines())
    assert not pathlib.Path(f"{host.control}.d").exists()


def test_says_where_each_server_is(stand_in):
    host = stand_in(body=CONTROL).start()
    words = [host.run.stdout.readline() for _ in range(5)]
    assert words[4].startswith("Ready at http://127.0.0.1:")
    url = words[4].split()[2].rstrip(";")
    assert words[0] == f"lake  {url}/mcp\n"
    assert json.loads("{" + words[3] + "}") == {"pond": {"type": "http", "url": f"{url}/pond/mcp"}}
    assert host.lines()[1]["asked"]["method"] == "io.envmux.Control.Servers"
    host.end()
    assert host.run.returncode == 0


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_orderly_end_leaves_nothing(stand_in, signal_number):
    host = stand_in().start()
    host.ready_line()
    start = host.wait_starts(1)[0]
    assert start["names"] == ["http"]
    assert start["sid"] == start["pid"], "Ctrl-C of the terminal must not reach the supervisor"
    assert start["argv"][start["argv"].index("--control") + 1] == str(host.control)
    host.end(signal_number)
    assert host.run.returncode == 0
    assert host.lines()[-1] == {"stopped": start["pid"]}
    assert not pathlib.Path(f"{host.control}.d").exists()
    assert list((host.tmp / "state" / "envmux").iterdir()) == []


def test_killed_supervisor_is_restarted_with_its_sockets(stand_in):
    host = stand_in(body=STORE).start()
    host.ready_line()
    first = host.wait_starts(1)[0]
    os.kill(first["pid"], signal.SIGKILL)
    second = host.wait_starts(2)[1]
    assert second["names"] == ["http", "kept"]
    assert second["stored"] == [str(host.report) + ".kept"]
    host.end()
    assert host.run.returncode == 0


def test_gives_up_on_a_supervisor_that_keeps_dying(stand_in):
    host = stand_in(body='if os.path.getsize(os.environ["REPORT"]) > 600: os._exit(9)').start()
    host.ready_line()
    started = time.monotonic()
    os.kill(host.wait_starts(1)[0]["pid"], signal.SIGKILL)
    _, errors = host.run.communicate(timeout=30)
    assert host.run.returncode == 1
    assert "giving up" in errors
    assert len(host.wait_starts(10)) == 10
    assert time.monotonic() - started < 10


def test_failure_before_ready_is_final(stand_in):
    host = stand_in(body="sys.exit(7)").start()
    host.run.communicate(timeout=20)
    assert host.run.returncode == 7
    assert len(host.lines()) == 1


def test_orphans_of_a_killed_supervisor_end_with_the_run(stand_in):
    host = stand_in(body=ORPHAN).start()
    host.ready_line()
    os.kill(host.wait_starts(1)[0]["pid"], signal.SIGKILL)
    host.wait_starts(2)
    wait_until(lambda: len(descendants_of(host.run.pid)) == 7, "the second supervisor and two process trees")
    below = descendants_of(host.run.pid)
    _, errors = host.end()
    assert host.run.returncode == 0
    assert "Killed what the supervisor left behind" in errors
    assert not any(process.exists() for process in below)


def test_killed_watch_takes_the_supervisor_along(stand_in):
    host = stand_in().start()
    host.ready_line()
    start = host.wait_starts(1)[0]
    host.run.kill()
    host.run.wait()
    wait_until(lambda: {"stopped": start["pid"]} in host.lines(), "SIGTERM reached the supervisor")


def test_second_signal_is_harsher(stand_in):
    host = stand_in(body='signal.signal(signal.SIGTERM, lambda *_: say(deaf=True))').start()
    host.ready_line()
    supervisor = host.wait_starts(1)[0]["pid"]
    host.run.send_signal(signal.SIGTERM)
    wait_until(lambda: {"deaf": True} in host.lines(), "the first signal was passed on")
    host.end(signal.SIGINT)
    assert host.run.returncode == 1
    assert not pathlib.Path(f"/proc/{supervisor}").exists()


def test_second_run_on_the_same_control_path_is_told(stand_in):
    host = stand_in().start()
    host.ready_line()
    again = subprocess.run([host.tmp / "bin" / "envmux", "run", "--listen", "127.0.0.1:0", "--control", host.control,
                            "--", "cat"], capture_output=True, text=True, timeout=20,
                           env=dict(os.environ, XDG_STATE_HOME=str(host.tmp / "state")))
    assert again.returncode == 1
    assert f"another run (pid {host.run.pid})" in again.stderr and "--control" in again.stderr
    host.end()
    assert host.run.returncode == 0


def test_taken_port_says_what_to_do(stand_in):
    host = stand_in()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        host.start("--listen", f"127.0.0.1:{port}", "--", "cat")
        _, errors = host.run.communicate(timeout=20)
    assert host.run.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in errors and "--listen" in errors


def test_a_limit_of_open_files_that_is_too_low_is_named(stand_in):
    host = stand_in()
    done = subprocess.run(["prlimit", "--nofile=64", host.tmp / "bin" / "envmux", "run", "--listen", "127.0.0.1:0",
                           "--control", host.control, "--", "cat"], capture_output=True, text=True, timeout=20,
                          env=dict(os.environ, XDG_STATE_HOME=str(host.tmp / "state")))
    assert done.returncode == 1
    assert "Cannot start envmux-supervisor: Too many open files" in done.stderr
    assert host.lines() == []


@pytest.mark.parametrize("text", ["nonsense", "127.0.0.1", "localhost:80x", "127.0.0.1:99999", "[::1", ""])
def test_bad_listen_address_is_a_usage_mistake(stand_in, text):
    host = stand_in().start("--listen", text, "--", "cat")
    _, errors = host.run.communicate(timeout=20)
    assert host.run.returncode == 2
    assert "give ADDRESS:PORT" in errors


def test_mistakes_in_the_configuration_stop_the_run_at_once(stand_in, tmp_path):
    host = stand_in(check_status=2)
    (tmp_path / "config.json").write_text("{}")
    host.start(str(tmp_path / "config.json"))
    host.run.communicate(timeout=20)
    assert host.run.returncode == 2
    assert host.lines() == []
    assert not pathlib.Path(f"{host.control}.d").exists()


def test_a_command_that_is_not_there_is_told_at_once():
    done = subprocess.run([ENVMUX, "run", "--", "no-such-command"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "no-such-command is not found" in done.stderr


def test_command_line_becomes_a_configuration(stand_in, tmp_path, monkeypatch):
    (tmp_path / "server").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    body = 'say(config=json.load(open(sys.argv[sys.argv.index("--config") + 1])))'
    host = stand_in(body=body).start("--", "./server", "--price", "$5", "${HOME}", "ü\n")
    host.ready_line()
    config = host.lines()[1]["config"]
    host.end()
    entry = config["mcpServers"]["default"]
    assert entry["command"] == os.getcwd() + "/./server"
    assert entry["args"] == ["--price", "$$5", "$${HOME}", "ü\n"]
    assert entry["cwd"] == os.getcwd()
