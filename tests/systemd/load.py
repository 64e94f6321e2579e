"""Load for tests of what a service lives through.

    load.configure(machine)                                   # once: the two servers that the load uses
    with load.Load(machine, load.LIGHT) as running:            # every session is live now
        machine.systemctl("reload", "envmux")
        running.round()                                       # every session was served after that
        report = running.stop()
    assert report.failures == [], report

A report also has calls, long_calls (that the backend took its time for), connections, slowest_seconds (beyond
what the backend took), and refused, failed, lost and wrong, which count the failures; their texts are kept for
the first fifty. load_client.py says what exactly is checked.
"""

import dataclasses
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
TICKER = "/usr/local/lib/envmux-tests/ticker.sh"
CALLS_PER_SECOND = 300  # of all sessions together: light enough for two processors that others use, too
PORT = 8700


@dataclasses.dataclass(frozen=True)
class Size:
    lakes: int
    tickers: int

    @property
    def sessions(self):
        return self.lakes + self.tickers


LIGHT = Size(lakes=30, tickers=20)
FULL = Size(lakes=350, tickers=150)


def servers():
    """What stands in mcpServers while there is load."""
    return {"frozen-lake": {"command": "frozen-lake", "args": ["--seed", "${envmux:seed}"]},
            "ticker": {"command": TICKER}}


def configure(machine, **settings):
    """Writes a configuration with the servers of the load (settings: keys of "envmux" at its top) and reloads."""
    machine.write(TICKER, (HERE / "ticker.sh").read_text(), 0o755)
    machine.write("/etc/envmux/envmux.json", json.dumps({"envmux": settings, "mcpServers": servers()}))
    machine.systemctl("reload", "envmux")


@dataclasses.dataclass(frozen=True)
class Report:
    sessions: int
    connections: int
    seconds: float
    slowest_seconds: float
    calls: int
    long_calls: int
    refused: int
    failed: int
    lost: int
    wrong: int
    failures: list


class Load:
    """Clients inside the machine, from `with` until stop() or its end."""

    def __init__(self, machine, size=LIGHT):
        self.machine, self.size = machine, size

    def __enter__(self):
        self.process = self.machine.spawn([
            self.machine.python, HERE / "load_client.py", str(PORT), str(self.size.lakes), str(self.size.tickers),
            str(self.size.sessions / CALLS_PER_SECOND)])
        live = self.hear()["live"]
        if live < self.size.sessions:
            raise AssertionError(f"only {live} of {self.size.sessions} sessions began: {self.stop()}")
        return self

    def __exit__(self, *exception):
        self.process.stop()

    def hear(self):
        line = self.process.stdout.readline()
        assert line, f"the load client ended with status {self.process.wait()}"
        return json.loads(line)

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.hear()

    def round(self):
        """Waits until every session has completed a call that it began after this."""
        self.ask("round")

    def stop(self, end_sessions=False):
        """Ends the load when what is under way is answered, and its sessions if so wished; returns the Report."""
        return Report(**self.ask("end" if end_sessions else "stop"))
