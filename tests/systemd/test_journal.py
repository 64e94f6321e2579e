"""The real journal: what backends and the supervisor say there, and what `envmux logs` makes of it."""

import json
import re
import signal

import pytest

import harness
from mcp_client import Client
from test_sandbox import E2E, PLACE, PYTHON, configure, install

EVENTS = dict(re.findall(r'(?m)^LOG_EVENT\((\w+),[^"]*"([0-9a-f]{32})"\)',
                         (harness.TOP / "supervisor/log_events.def").read_text()))
LINES = ["hello", "out of order", "no message"]


@pytest.fixture(scope="module")
def service(machine):
    install(machine, E2E / "log_backend.py")
    configure(machine, talker={"command": PYTHON, "args": [f"{PLACE}/log_backend.py"]})
    return machine


def session(machine, key):
    return next(s for s in json.loads(machine.run("envmux ps --json").stdout) if s["key"] == key)


def client(key):
    return Client(f"http://127.0.0.1:8700/talker/s/{key}/mcp", keep=True)


def say(c, data, fd=2):
    return c.call("say", hex=data.hex(), fd=fd)


@pytest.fixture
def talked(service):
    """A session that has said something, by its key: a function that returns its id."""

    def talk(key):
        with service.network(), client(key) as c:
            assert say(c, b"hello\n<3>out of order\n") == {"journal": None, "socket": None}
            say(c, b"no message\n", fd=1)
        return session(service, key)["id"]

    return talk


def messages(entries):
    return [entry["MESSAGE"] for entry in entries]


def test_one_session_is_what_one_field_selects(service, talked):
    id, other = talked("k"), talked("other")
    service.wait_until(lambda: messages(service.journal(f"ENVMUX_SESSION={id}", "_COMM=envmux-worker")) == LINES, "the lines")
    lines = service.journal(f"ENVMUX_SESSION={id}", "SYSLOG_IDENTIFIER=talker")
    assert [line["PRIORITY"] for line in lines] == ["6", "3", "5"]
    assert {(line["ENVMUX_SERVER"], line["_SYSTEMD_UNIT"]) for line in lines} == {("talker", "envmux-sessions.service")}
    assert not [line for line in service.journal(f"ENVMUX_SESSION={id}") if other in line["MESSAGE"]]
    started, = service.journal(f"ENVMUX_SESSION={id}", f"MESSAGE_ID={EVENTS['SESSION_STARTED']}")
    assert started["_SYSTEMD_UNIT"] == "envmux.service" and id in started["MESSAGE"]
    # The priority alone selects, too.
    assert messages(service.journal(f"ENVMUX_SESSION={id}", "--priority=err")) == ["out of order"]


def test_the_catalog_explains_events(service, talked):
    id = talked("explained")
    text = service.run(["journalctl", "--catalog", "--no-pager", f"ENVMUX_SESSION={id}",
                        f"MESSAGE_ID={EVENTS['SESSION_STARTED']}"]).stdout
    assert f"Subject: Session {id} of server talker was started" in text and "man:envmux.service(8)" in text


def test_a_line_of_the_unit_stands_there_once(service):
    lines = messages(service.journal("--unit=envmux.service", "_COMM=envmux-supervis"))
    assert len([line for line in lines if line.startswith("ready: ")]) == 1


def test_lines_come_again_when_the_journal_does(service, talked):
    id = talked("again")
    service.systemctl("restart", "systemd-journald")
    with service.network(), client("again") as c:
        say(c, b"after the restart\n")
    service.wait_until(lambda: "after the restart" in messages(service.journal(f"ENVMUX_SESSION={id}")), "the line")


def test_a_hung_journal_holds_up_no_call(service, talked):
    talked("held")
    journald = service.main_pid("systemd-journald.service")
    service.kill(journald, signal.SIGSTOP)
    try:
        with service.network(), client("held") as c:
            for _ in range(20):
                say(c, b"x\n" * 1000)
        with service.network(), client("new-meanwhile") as c:
            say(c, b"a new session, too\n")
    finally:
        service.kill(journald, signal.SIGCONT)
    id = session(service, "new-meanwhile")["id"]
    service.wait_until(lambda: "a new session, too" in messages(service.journal(f"ENVMUX_SESSION={id}")), "the line")


def logs(machine, *words, user=None):
    done = machine.run(["envmux", "logs", *words], user=user, check=False)
    return done.stdout.splitlines(), done.stderr, done.returncode


def test_logs_of_an_ended_session_come_from_the_journal(service, talked):
    id = talked("ended")
    live = logs(service, id)
    service.run(["envmux", "stop", id])
    assert logs(service, "talker/ended")[0] == LINES
    assert logs(service, id, "--lines=1")[0] == LINES[-1:]
    assert [json.loads(line) for line in logs(service, id, "--json")[0]] == [
        {"text": "hello", "stdout": False}, {"text": "out of order", "stdout": False},
        {"text": "no message", "stdout": True}]
    assert logs(service, id, "--follow")[0] == LINES  # and ends
    # Forgotten by the supervisor, too.
    service.systemctl("restart", "envmux")
    assert logs(service, id)[0] == LINES
    assert live[0][0] == "hello"
    lines, error, status = logs(service, "0123456789abcdef")
    assert (lines, status) == ([], 1) and "no session" in error


def test_who_may_not_read_the_journal_is_told(service, talked):
    id = talked("private")
    service.run(["envmux", "stop", id])
    lines, error, status = logs(service, id, user="nobody")
    assert lines == [] and status != 0 and "only root" in error
