"""What reaches the journal, told by a socket that plays it; with the real one: tests/systemd/test_journal.py."""

import pathlib
import re
import socket
import sys
import threading

import pytest

from harness import TOP, wait_until
from mcp_client import Client

BACKEND = pathlib.Path(__file__).resolve().with_name("log_backend.py")
COMMAND = {"command": sys.executable, "args": [str(BACKEND)]}
CONFIG = {"mcpServers": {"tools": COMMAND | {"envmux": {"log_max": "4M"}}, "small": COMMAND | {"envmux": {"log_max": "4K"}}},
          "envmux": {"routers": 1}}
EVENTS = dict(re.findall(r'(?m)^LOG_EVENT\((\w+),[^"]*"([0-9a-f]{32})"\)', (TOP / "supervisor/log_events.def").read_text()))


def parse(data):
    """The fields of an entry of the native protocol."""
    fields = {}
    while data:
        head, data = data.split(b"\n", 1)
        name, equals, value = head.partition(b"=")
        if not equals:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        fields[name.decode()] = value
    return fields


class Journal:
    def __init__(self, folder):
        self.path = folder / "journal"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.entries = []
        self.reader = None

    def read(self):
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while data := self.socket.recv(1 << 20):
            self.entries.append(parse(data))

    def of(self, **fields):
        return [entry for entry in list(self.entries)
                if all(entry.get(name) == value.encode() for name, value in fields.items())]

    def wait(self, **fields):
        return wait_until(lambda: self.of(**fields), f"an entry with {fields}")

    def close(self):
        if self.reader:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", str(self.path))
            self.reader.join()
        self.socket.close()


@pytest.fixture
def journal(tmp_path_factory):
    journal = Journal(tmp_path_factory.mktemp("j"))
    yield journal
    journal.close()


@pytest.fixture
def run(envmux, journal):
    return envmux(CONFIG, env={"ENVMUX_JOURNAL": str(journal.path)})


def say(client, data, fd=2):
    return client.call("say", hex=data.hex(), fd=fd)


def test_each_line_of_a_backend_names_its_session(run, journal):
    journal.read()
    with Client(run.mcp("tools", "k")) as first, Client(run.mcp("tools", "other")) as second:
        assert say(first, b"hello\n<3>out of order\n<0>to all\n<9>no priority\n\n\n") == {"journal": None, "socket": None}
        say(second, b"from the other\n")
        say(first, b"no message\n", fd=1)
        journal.wait(MESSAGE="no message")
        journal.wait(MESSAGE="from the other")
        ids = {session["key"]: session["id"] for session in run.sessions()}
        mine = [(entry["MESSAGE"], entry["PRIORITY"], entry["ENVMUX_STREAM"])
                for entry in journal.of(ENVMUX_SESSION=ids["k"], SYSLOG_IDENTIFIER="tools")]
        assert mine == [(b"hello", b"6", b"stderr"), (b"out of order", b"3", b"stderr"), (b"to all", b"2", b"stderr"),
                        (b"<9>no priority", b"6", b"stderr"), (b"no message", b"5", b"stdout")]
        other, = journal.of(ENVMUX_SESSION=ids["other"], SYSLOG_IDENTIFIER="tools")
        assert (other["MESSAGE"], other["ENVMUX_SERVER"]) == (b"from the other", b"tools")
        # `envmux logs` is told as ever.
        assert run.ctl("logs", ids["k"]).stdout.splitlines()[0] == "hello"


@pytest.mark.parametrize("line", [b"\xff\xfe not text", b"nul \0 byte", b"x" * 8192, b"PRIORITY=0\rMESSAGE=no"])
def test_any_bytes_are_a_message(run, journal, line):
    journal.read()
    with Client(run.mcp("tools", "k")) as client:
        say(client, line + b"\n")
        entry, = wait_until(lambda: journal.of(ENVMUX_STREAM="stderr"), "the line")
        assert entry["MESSAGE"] == line and entry["PRIORITY"] == b"6"


def test_a_long_line_comes_in_pieces(run, journal):
    journal.read()
    with Client(run.mcp("tools", "k")) as client:
        say(client, b"y" * (1 << 20) + b"\nlast\n")
        journal.wait(MESSAGE="last")
        assert b"".join(e["MESSAGE"] for e in journal.of(ENVMUX_STREAM="stderr")) == b"y" * (1 << 20) + b"last"


def test_events_have_ids_and_name_their_session(run, journal):
    journal.read()
    with Client(run.mcp("tools", "k"), keep=True) as client:
        say(client, b"x\n")
        id = run.sessions()[0]["id"]
        backend, = run.backends()
        backend.kill()
    started, = journal.wait(MESSAGE_ID=EVENTS["SESSION_STARTED"])
    failed, = journal.wait(MESSAGE_ID=EVENTS["SESSION_FAILED"])
    for entry in (started, failed):
        assert (entry["ENVMUX_SESSION"], entry["ENVMUX_SERVER"]) == (id.encode(), b"tools")
        assert entry["SYSLOG_IDENTIFIER"] == b"envmux-supervisor" and id.encode() in entry["MESSAGE"]
    assert (failed["PRIORITY"], failed["ENVMUX_REASON"]) == (b"4", b"backend_exited")
    run.supervisor().kill()
    run.stop()
    for name in ("READY", "STOPPING", "STOPPED"):
        journal.wait(MESSAGE_ID=EVENTS[name])
    assert "envmux-supervisor:" not in run.log()  # not twice


def test_a_prepare_command_knows_of_no_journal(envmux, journal):
    journal.read()
    words = 'import os; print("saw", [name for name in ("JOURNAL_STREAM", "ENVMUX_JOURNAL") if name in os.environ])'
    entry = COMMAND | {"envmux": {"prepare": [sys.executable, "-c", words]}}
    run = envmux({"mcpServers": {"tools": entry}}, env={"ENVMUX_JOURNAL": str(journal.path), "JOURNAL_STREAM": "1:2"})
    with Client(run.mcp("tools", "k")):
        journal.wait(MESSAGE="server tools: prepare: saw []")


def test_a_hung_journal_holds_up_nobody(run, journal):
    with Client(run.mcp("small", "k")) as client:
        for _ in range(50):  # more than the socket and the worker hold
            say(client, b"".join(b"%d\n" % i for i in range(100)))
        run.supervisor().kill()
        with Client(run.mcp("tools", "other")) as other:
            say(other, b"as if nothing were\n")
        journal.read()
        say(client, b"at last\n")
        journal.wait(MESSAGE="at last")
        told = [entry for entry in journal.entries if b"were lost on their way" in entry["MESSAGE"]]
        assert told


def test_every_event_is_in_the_catalog_once():
    catalog = (TOP / "packaging/catalog/envmux.catalog").read_text()
    assert sorted(re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.M)) == sorted(EVENTS.values())
    assert len(set(EVENTS.values())) == len(EVENTS)
