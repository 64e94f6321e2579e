"""Three rollouts at the same time through one address, each with the map of its own seed: what the
predecessor of envmux was built for and never did."""

import json
import subprocess
import sys

import pytest

import harness
from mcp_client import Client

MAPS = {  # gymnasium's generate_random_map(size=4, p=0.8, seed=…)
    42: "SFHF\nFHFF\nFFFH\nFHFG",
    123: "SFFF\nFHHF\nHHFF\nHFFG",
    456: "SFFF\nHFFF\nFHFF\nFFFG",
}
POLICY = ["RIGHT", "RIGHT", "RIGHT", "DOWN", "DOWN", "DOWN"]
# Where RRRDDD leads: the positions after each move, the reward of the last.
PATHS = {
    42: ([1, 2], 0.0),
    123: ([1, 2, 3, 7, 11, 15], 1.0),
    456: ([1, 2, 3, 7, 11, 15], 1.0),
}
CLIENTS = {"sdk-1": sys.executable, "sdk-2": harness.VENV_MCP2 / "bin" / "python"}
BACKENDS = {  # configuration and server; None: the only one
    "embedded": (harness.EXAMPLES / "frozen-lake.json", None),
    "python-stdio": (harness.EXAMPLES / "frozen-lake-python.json", "frozen-lake-stdio"),
    "python-http": (harness.EXAMPLES / "frozen-lake-python.json", "frozen-lake-http"),
}


class Rollouts:
    """clients/rollout.py at work; next() lets it go on to its next word."""

    def __init__(self, python, recording, targets):
        script = harness.TOP / "tests/e2e/clients/rollout.py"
        self.recording = recording
        self.process = subprocess.Popen([python, script, recording, ",".join(POLICY), *targets], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait_for(self, word):
        line = self.process.stdout.readline().strip()
        assert line == word, self.process.communicate()

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        _, errors = self.process.communicate(timeout=harness.PATIENCE)
        assert self.process.returncode == 0, errors

    def lines(self, seed):
        lines = map(json.loads, self.recording.read_text().splitlines())
        return [line for line in lines if line["seed"] == seed]


def assert_played_right(rollouts):
    for seed, grid in MAPS.items():
        first, *moves = rollouts.lines(seed)
        positions, last_reward = PATHS[seed]
        assert first["observation"] == {"position": 0, "grid": grid}
        assert (first["step_count"], first["terminated"]) == (0, False)
        assert [line["observation"]["position"] for line in moves] == positions
        assert [line["action"] for line in moves] == POLICY[: len(positions)]
        assert [line["step_count"] for line in moves] == list(range(1, len(positions) + 1))
        assert all(line["observation"]["grid"] == grid for line in moves)
        assert [line["terminated"] for line in moves] == [False] * (len(moves) - 1) + [True]
        assert [line["reward"] for line in moves] == [0.0] * (len(moves) - 1) + [last_reward]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("client", CLIENTS)
def test_three_seeds_at_once(envmux, tmp_path, client, backend):
    config, server = BACKENDS[backend]
    run = envmux(config)
    targets = [f"{seed}={run.mcp(server, query=f'seed={seed}')}" for seed in MAPS]
    rollouts = Rollouts(CLIENTS[client], tmp_path / "rollouts.jsonl", targets)

    rollouts.wait_for("open")
    backends = set(run.backends())
    sessions = run.sessions()
    assert len(backends) == len(sessions) == len(MAPS), run.log()

    rollouts.go_on()
    rollouts.wait_for("played")
    assert set(run.backends()) == backends, "one backend each, from the first move to the last"
    assert_played_right(rollouts)

    rollouts.go_on()
    rollouts.end()
    harness.wait_until(lambda: not run.sessions(), "the sessions ended with their clients")
    harness.wait_until(lambda: not any(backend.exists() for backend in backends), "their backends ended")
    assert run.workers() == []
    run.stop()


def test_sessions_do_not_share_state(envmux, tmp_path):
    """Two sessions of the same seed move apart."""
    run = envmux(harness.EXAMPLES / "frozen-lake.json")
    with Client(run.mcp(query="seed=123")) as one, Client(run.mcp(query="seed=123")) as two:
        assert one.call("lake_move", action="RIGHT")["position"] == 1
        assert two.call("lake_move", action="DOWN")["position"] == 4
        assert one.call("lake_move", action="RIGHT")["position"] == 2
        assert one.read("control://status")["step_count"] == 2
        assert two.read("control://status")["step_count"] == 1
        assert two.read("game://initial_state") == {"position": 0, "grid": MAPS[123]}
