"""What the tests of the control socket and of the commands share."""

import contextlib
import json
import subprocess

import varlink

from harness import ENVMUX, LIBEXEC, PATIENCE, wait_until

INTERFACE = "io.envmux.Control"
CONFIG = {"mcpServers": {
    "lake": {"command": "frozen-lake", "args": ["--seed", "42"]},
    "noisy": {
        "command": "sh",
        "args": ["-c", 'echo first >&2; echo "$0 second" >&2; exec "$1" --seed 7', "über",
                 str(LIBEXEC / "frozen-lake")],
        "envmux": {"keys": ["header", "meta:a/b", "principal"]},
    },
}}


@contextlib.contextmanager
def foreign(run):
    """PyPI's varlink client, which knows of the interface only what the socket says."""
    with varlink.Client(f"unix:{run.control}") as client, client.open(INTERFACE) as control:
        yield control


def put(run, key, server="lake", **body):
    """Makes a session without a client and waits until it is up."""
    status, _, answer = run.http("PUT", f"/{server}/s/{key}", body)
    assert status in (200, 201), answer
    wait_until(lambda: any(s["sub_state"] in ("ready", "idle") for s in run.sessions()
                           if (s["server"], s["key"]) == (server, key)), f"{server}/{key} is up")


def show(run, name):
    return json.loads(run.ctl("show", "--json", name).stdout)


def envmux_command(*arguments, env=None):
    """`envmux …` as it is typed; the CompletedProcess whatever its status."""
    return subprocess.run([ENVMUX, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, env=env)
