"""What the tests in the machine share: the installed service, its sessions, their cgroups.

    install_configuration(small={"memory_max": "32M"})   # a server of each name, started or reloaded
    with session("small", "key") as client:
        client.call("eat", mib=8)
    group("small", "key", "backend/memory.max")           # what a file of its cgroup says
"""

import json
import pathlib
import shutil
import subprocess
import time

from mcp_client import Client, McpError

ADDRESS = ("127.0.0.1", 8700)
URL = "http://127.0.0.1:8700"
CONFIGURATION = pathlib.Path("/etc/envmux/envmux.json")
BACKEND = pathlib.Path("/opt/greedy.py")
SLICE = pathlib.Path("/sys/fs/cgroup/envmux.slice")
SESSIONS = SLICE / "envmux-sessions.service"
MIB = 1 << 20
PATIENCE = 25


def sh(*command, check=True):
    """Runs a command; its standard output without the last line break."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert not check or result.returncode == 0, f"{command}: {result.returncode}: {result.stdout}{result.stderr}"
    return result.stdout.rstrip("\n")


def wait_until(condition, what):
    """Polls until it is true and returns its value."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE} s in vain: {what}")
        time.sleep(0.02)


# ---- the service --------------------------------------------------------------------------------


def unit(name, unit_name="envmux.service"):
    """A property of a unit."""
    return sh("systemctl", "show", "--value", "-p", name, unit_name)


def main_pid():
    """The supervisor's, once it serves."""
    wait_until(lambda: unit("ActiveState") == "active", "envmux.service is active")
    return int(unit("MainPID"))


def write_configuration(**servers):
    """Each server is a greedy backend with these settings."""
    if not BACKEND.exists():
        shutil.copy(pathlib.Path(__file__).with_name("greedy.py"), BACKEND)
    entries = {name: {"command": "/usr/bin/python3", "args": ["-I", "-S", str(BACKEND)], "envmux": settings}
               for name, settings in servers.items()}
    CONFIGURATION.write_text(json.dumps({"mcpServers": entries}))


def install_configuration(**servers):
    """The service runs with these servers and no session."""
    if unit("ActiveState") == "active":
        reload_configuration(**servers)
        sh("envmux", "stop", "--all", check=False)
        wait_until(lambda: not sessions(), "no session is left")
    else:
        write_configuration(**servers)
        sh("systemctl", "reset-failed", "envmux.service", "envmux.socket", check=False)
        sh("systemctl", "start", "envmux.service")


def reload_configuration(**servers):
    """The same without ending a session."""
    write_configuration(**servers)
    sh("systemctl", "reload", "envmux.service")


# ---- sessions -----------------------------------------------------------------------------------


def session(server, key):
    """A client of a session, which is made with the first and ends with nobody."""
    return Client(f"{URL}/{server}/s/{key}/mcp", keep=True, timeout=PATIENCE)


def ctl(*arguments):
    return json.loads(sh("envmux", *arguments, "--json"))


def sessions():
    """The live ones."""
    return [s for s in ctl("ps") if s["state"] not in ("inactive", "failed")]


def show(server, key):
    return ctl("show", f"{server}/{key}")


def folder(server, key):
    """The cgroup of a session."""
    return next(SESSIONS.glob(f"**/{show(server, key)['id']}"))


def group(server, key, file):
    """What a file of its cgroup says."""
    return (folder(server, key) / file).read_text().strip()


def counters(text):
    """{"name": number} of a file with a pair on each line."""
    return {name: int(value) for name, value in (line.split() for line in text.splitlines())}


def expect_killed(client, why, tool="eat", mib=64):
    """The call ends with the kernel's verdict."""
    try:
        value = client.call(tool, mib=mib)
    except McpError as error:
        assert str(error).startswith(f"killed: out of memory ({why})"), error
        assert error.envmux["reason"] == "out_of_memory", error.data
    else:
        raise AssertionError(f"ate {mib} MiB: {value}")
