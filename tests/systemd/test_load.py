"""The load client: quiet while all is well, and not blind to what goes wrong."""

import json

import pytest

import http_load
import load
import load_client


def failure_of(player, result):
    """The kind of failure that a player sees in a result, or None."""
    try:
        player.check(result)
    except http_load.Failed as failure:
        return failure.kind
    return None


def sessions(machine):
    return json.loads(machine.run("envmux ps --json").stdout)


def test_counts_nothing_where_nothing_happens(machine):
    load.configure(machine)
    with load.Load(machine, load.LIGHT) as running:
        running.round()
        assert len(sessions(machine)) == load.LIGHT.sessions
        report = running.stop(end_sessions=True)
    machine.wait_until(lambda: not sessions(machine), "the sessions of the load end")
    print(report)
    assert report.failures == []
    assert report.calls >= load.LIGHT.sessions and report.long_calls > 0
    assert report.connections > load.LIGHT.sessions


@pytest.mark.parametrize("text, kind", [
    ("12 1 3-1", None), ("12 1 4-1", "wrong"), ("12 2 3-1", "wrong"), ("12 0 3-1", "lost"),
])
def test_knows_the_answers_of_others(text, kind):
    ticker = load_client.Ticker(3)
    ticker.next_call()
    assert failure_of(ticker, {"content": [{"type": "text", "text": text}]}) == kind


def test_knows_a_process_that_was_replaced():
    ticker = load_client.Ticker(3)
    for pid, kind in (12, None), (13, "lost"):
        ticker.next_call()
        assert failure_of(ticker, {"content": [{"text": f"{pid} {ticker.count} {ticker.tag}"}]}) == kind


@pytest.mark.parametrize("change, kind", [
    ({}, None), ({"grid": "SF\nHG"}, "wrong"), ({"action": "LEFT"}, "wrong"), ({"position": 3}, "lost"),
])
def test_knows_the_lakes_of_others(change, kind):
    lake = load_client.Lake(1)
    lake.next_call()
    lake.check({"structuredContent": {"grid": "SF\nFG", "position": 0, "action": lake.action}})
    lake.next_call()
    seen = {"grid": "SF\nFG", "position": lake.target(lake.action), "action": lake.action}
    if "action" in change and lake.action == change["action"]:
        change = {"action": "DOWN"}
    assert failure_of(lake, {"structuredContent": {**seen, **change}}) == kind


def test_notes_a_session_that_is_lost(machine):
    load.configure(machine)
    with load.Load(machine, load.Size(lakes=2, tickers=2)) as running:
        running.round()
        backends = [pid for name, pids in machine.cgroups("envmux-sessions.service").items()
                    if name.startswith("ticker") and name.endswith("backend") for pid in pids]
        machine.kill(min(backends))  # the older ones are the backends themselves, not what they wait for
        running.round()
        report = running.stop(end_sessions=True)
    assert report.failed + report.lost == len(report.failures) == 1, report
    assert report.failures[0]["session"].startswith("ticker/")


def test_notes_a_service_that_ends(machine):
    size = load.Size(lakes=4, tickers=0)
    load.configure(machine)
    with load.Load(machine, size) as running:
        running.round()
        machine.systemctl("stop", "envmux")
        running.round()
        report = running.stop()
    assert len(report.failures) == 4, report
    machine.systemctl("stop", "envmux.socket")
    with pytest.raises(AssertionError, match="only 0 of 4 .*refused=4"), load.Load(machine, size):
        pass
    machine.systemctl("start", "envmux")
