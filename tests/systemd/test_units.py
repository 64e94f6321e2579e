"""The installed units: enabled, serving, restarted without a refused connection, and nothing left after a stop."""

import json
import re
import signal

import pytest

from harness import wait_until
from service import assert_nothing_left, knocking, move, sessions, start_session

SERVICE = "envmux.service"


@pytest.fixture
def service(machine):
    """The machine with the service freshly started, whatever the test before made of it."""
    machine.run("rm -rf /run/systemd/system/envmux*.d; systemctl daemon-reload")
    machine.run("systemctl stop envmux.service; systemctl reset-failed", check=False)
    machine.systemctl("start", SERVICE)
    yield machine
    machine.systemctl("stop", SERVICE, check=False)


def set_service(machine, *lines):
    """A drop-in until the next boot."""
    machine.write("/run/systemd/system/envmux.service.d/test.conf", "\n".join(lines) + "\n")
    machine.systemctl("daemon-reload")


# ---- installation -------------------------------------------------------------------------------


def test_package_enables_starts_and_serves(machine):
    assert machine.run("systemctl is-enabled envmux").stdout.strip() == "enabled"
    machine.wait_for_state(SERVICE, "active")
    assert "frozen-lake" in machine.run("envmux servers").stdout
    assert "position" in move(machine, "first")
    assert machine.run("envmux check /etc/envmux/envmux.json").returncode == 0


def test_sessions_and_routers_live_beside_the_supervisor(service):
    session = start_session(service, "beside")
    tree = service.cgroups("envmux-sessions.service")
    below = {name: pids for name, pids in tree.items() if name.endswith(f"{session['id']}/backend")}
    assert list(below.values()) == [[session["backend_pid"]]]
    assert service.cgroups(SERVICE) == {"": [service.main_pid(SERVICE)]}
    assert len(tree["routers"]) >= 1


def test_backends_do_not_run_as_root(service):
    session = start_session(service, "whose")
    owner = service.run(["ps", "-o", "user:32=", "-p", str(session["backend_pid"])]).stdout.strip()
    assert owner == "envmux-backend"


# ---- restart ------------------------------------------------------------------------------------


def test_restart_refuses_no_connection(service):
    start_session(service, "before")
    with knocking(service) as (made, refused):
        service.systemctl("restart", SERVICE)
        start_session(service, "after")
    assert not refused and made[0] > 10
    assert [session["key"] for session in sessions(service)] == ["after"]


def test_kill_refuses_no_connection_and_loses_no_session(service):
    before = start_session(service, "kept")
    with knocking(service) as (_, refused):
        for _ in range(3):
            pid = service.main_pid(SERVICE)
            service.kill(pid)
            wait_until(lambda: service.main_pid(SERVICE) not in (0, pid), "another supervisor")
            service.wait_for_state(SERVICE, "active")
            move(service, "kept")
    assert not refused
    assert [session["backend_pid"] for session in sessions(service)] == [before["backend_pid"]]


def test_kill_with_a_wrong_configuration_loses_no_session(service):
    before = start_session(service, "kept")
    good = service.read("/etc/envmux/envmux.json")
    service.write("/etc/envmux/envmux.json", '{"mcpServers": 3}')
    try:
        for _ in range(2):
            pid = service.main_pid(SERVICE)
            service.kill(pid)
            wait_until(lambda: service.main_pid(SERVICE) not in (0, pid), "another supervisor")
            service.wait_for_state(SERVICE, "active")
        move(service, "kept")
        start_session(service, "new")
        assert service.systemctl("reload", SERVICE, check=False).returncode != 0
    finally:
        service.write("/etc/envmux/envmux.json", good)
    service.systemctl("reload", SERVICE)
    assert {s["key"]: s["backend_pid"] for s in sessions(service)}["kept"] == before["backend_pid"]


def test_backends_have_the_usual_limit_on_descriptors(service):
    def limits(pid):
        return re.search(r"Max open files +(\d+) +(\d+)", service.read(f"/proc/{pid}/limits")).groups()

    soft, hard = limits(start_session(service, "low")["backend_pid"])
    assert soft == "1024" and int(hard) > 1024
    assert limits(service.main_pid(SERVICE)) == (hard, hard)


def test_reload(service):
    before = start_session(service, "kept")
    service.systemctl("reload", SERVICE)
    assert [session["backend_pid"] for session in sessions(service)] == [before["backend_pid"]]
    assert service.show(SERVICE, "ActiveState") == "active"


# ---- stop ---------------------------------------------------------------------------------------


def test_stop_leaves_nothing(service):
    for number in range(5):
        start_session(service, f"s{number}")
    service.systemctl("stop", SERVICE)
    assert_nothing_left(service)


def test_stop_racing_a_kill_leaves_nothing(service):
    for number in range(15):
        service.systemctl("reset-failed")
        service.systemctl("start", SERVICE)
        start_session(service, f"r{number}")
        # From together to well after the restart
        service.run(f"kill -9 {service.main_pid(SERVICE)}; sleep {number * 0.002}; systemctl stop envmux.service")
        assert_nothing_left(service)


def test_stop_of_a_hung_supervisor_leaves_nothing(service):
    set_service(service, "[Service]", "TimeoutStopSec=1s")
    start_session(service, "hung")
    service.kill(service.main_pid(SERVICE), signal.SIGSTOP)
    service.systemctl("stop", SERVICE)
    assert_nothing_left(service)


def test_restart_of_a_hung_supervisor_goes_on(service):
    set_service(service, "[Service]", "TimeoutStopSec=1s")
    start_session(service, "hung")
    service.kill(service.main_pid(SERVICE), signal.SIGSTOP)
    with knocking(service) as (_, refused):
        service.systemctl("restart", SERVICE)
        move(service, "hung")
    assert not refused


def test_start_right_after_a_stop_that_left_routers(service):
    service.write("/run/systemd/system/envmux-sessions.service.d/slow.conf", "[Service]\nExecStop=\nExecStop=sleep 0.5\n")
    set_service(service, "[Service]", "RestartSec=1h")
    for number in range(7):  # more than the start limit of a unit that sets none
        start_session(service, f"again{number}")
        service.kill(service.main_pid(SERVICE))
        wait_until(lambda: service.show(SERVICE, "SubState") == "auto-restart", "auto-restart")
        service.run("systemctl stop envmux.service; systemctl start envmux.service")
        assert not sessions(service)


def test_stop_while_it_waits_to_be_restarted_leaves_nothing(service):
    set_service(service, "[Service]", "RestartSec=1h")
    start_session(service, "waiting")
    service.kill(service.main_pid(SERVICE))
    wait_until(lambda: service.show(SERVICE, "SubState") == "auto-restart", "auto-restart")
    service.systemctl("stop", SERVICE)
    assert_nothing_left(service)


def test_start_limit_leaves_nothing(service):
    start_session(service, "limit")

    def fails():
        service.run("pid=$(systemctl show -P MainPID envmux.service); [ $pid = 0 ] || kill -9 $pid", check=False)
        return service.show(SERVICE, "ActiveState") == "failed"

    wait_until(fails, "the start limit")
    assert_nothing_left(service)
    service.systemctl("reset-failed", SERVICE)
    service.systemctl("start", SERVICE)
    start_session(service, "again")


def test_watchdog_replaces_a_hung_supervisor(service):
    set_service(service, "[Service]", "WatchdogSec=1s")
    service.systemctl("restart", SERVICE)
    before = start_session(service, "kept")
    pid = service.main_pid(SERVICE)
    service.kill(pid, signal.SIGSTOP)
    wait_until(lambda: service.main_pid(SERVICE) not in (0, pid), "another supervisor")
    service.wait_for_state(SERVICE, "active")
    assert [session["backend_pid"] for session in sessions(service)] == [before["backend_pid"]]


def test_sessions_cannot_be_stopped_under_the_supervisor(service):
    assert service.systemctl("stop", "envmux-sessions.service", check=False).returncode != 0
    assert json.loads(service.run("envmux ps --json").stdout) is not None


# ---- configuration ------------------------------------------------------------------------------


def test_another_listener_by_a_drop_in(service):
    service.write("/run/systemd/system/envmux.socket.d/more.conf", "[Socket]\nListenStream=127.0.0.1:8701\n")
    service.systemctl("daemon-reload")
    service.systemctl("restart", "envmux.socket")
    service.wait_for_state(SERVICE, "active")
    for port in (8700, 8701):
        service.run(f"curl --silent --fail-with-body -X PUT http://127.0.0.1:{port}/s/p{port}")
    service.run("rm -r /run/systemd/system/envmux.socket.d; systemctl daemon-reload; systemctl restart envmux.socket")


def test_wrong_configuration_is_told_and_leaves_nothing(service):
    service.systemctl("stop", SERVICE)
    good = service.read("/etc/envmux/envmux.json")
    service.write("/etc/envmux/envmux.json", '{"mcpServers": 3}')
    try:
        assert service.systemctl("start", SERVICE, check=False).returncode != 0
        assert any("mcpServers" in entry["MESSAGE"] for entry in service.journal(f"_SYSTEMD_UNIT={SERVICE}"))
        assert_nothing_left(service)
    finally:
        service.write("/etc/envmux/envmux.json", good)
