"""What a service manager is told by the supervisor, and what it may rely on."""

import signal
import time

from harness import wait_until
from manager import managed  # noqa: F401
from mcp_client import Client

CONFIG = {"mcpServers": {"lake": {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]}},
          "envmux": {"routers": 2}}


def test_status_line_counts_sessions(managed):
    service = managed(CONFIG)
    at = service.now()
    clients = [Client(service.mcp(f"k{i}")) for i in range(3)]
    for client in clients:
        client.initialize()
    service.wait_for("STATUS=3 sessions", at)
    service.ctl("stop", "lake/k0")
    service.wait_for("STATUS=2 sessions", at)
    assert sum(line.startswith("STATUS=") for line in service.notices[at:]) <= 8, "it is told at every move"


def test_stopped_router_is_replaced_and_the_watchdog_fed_meanwhile(managed):
    service = managed(CONFIG, watchdog=2)
    Client(service.mcp("k")).initialize()
    old = service.routers()
    old[0].kill(signal.SIGSTOP)
    wait_until(lambda: not old[0].exists(), "the end of the stopped router")
    wait_until(lambda: len(service.routers()) == 2, "its successor")
    assert old[1].exists()
    service.wait_for("WATCHDOG=1")
    assert "does not answer: killing it" in service.text()
    Client(service.mcp("k")).initialize()


def test_routers_are_not_blamed_for_a_supervisor_that_was_stopped(managed):
    service = managed(CONFIG, watchdog=2)
    Client(service.mcp("k")).initialize()
    service.wait_for("WATCHDOG=1")
    old = service.routers()
    service.process.send_signal(signal.SIGSTOP)
    time.sleep(2.5)  # a manager would have killed it by now
    service.process.send_signal(signal.SIGCONT)
    for _ in range(3):
        service.wait_for("WATCHDOG=1")
    assert [router.exists() for router in old] == [True, True]
