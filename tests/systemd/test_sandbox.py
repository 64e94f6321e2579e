"""The installed unit keeps its own processes in, and backends that sandbox themselves or compile at run time work."""

import json
import pathlib
import re
import shutil

import pytest

import harness
import node_tools
from mcp_client import Client

HERE = pathlib.Path(__file__).resolve().parent
E2E = HERE.parent / "e2e"
UV = harness.TOP / "build" / "uv"
HOME = "/var/lib/envmux-backend"
PLACE = "/srv/backends"
PYTHON = "/usr/bin/python3"

# What the supervisor needs, and nothing more.
CAPABILITIES = {"cap_chown", "cap_dac_override", "cap_fowner", "cap_kill", "cap_setgid", "cap_setuid", "cap_sys_chroot"}


def configure(machine, settings=None, **servers):
    machine.write("/etc/envmux/envmux.json", json.dumps({"mcpServers": servers, "envmux": settings or {}}))
    machine.systemctl("reload", "envmux")


def install(machine, *sources):
    for source in sources:
        machine.write(f"{PLACE}/{source.name}", source.read_text())


def call(machine, server, tool, **arguments):
    """A tool call through the routers of the machine."""
    with machine.network():
        client = Client(f"http://127.0.0.1:8700/{server}/s/k/mcp", timeout=100, keep=True)
        with client:
            return client.call(tool, **arguments)


def uid(machine, name):
    return machine.user(name).pw_uid


def status(machine, pid):
    return dict(line.split(":\t", 1) for line in machine.read(f"/proc/{pid}/status").splitlines() if ":\t" in line)


def below(machine, name):
    """The pids in the folder of the sessions' unit with this name."""
    return [pid for path, pids in machine.cgroups("envmux-sessions.service").items() if name in path.split("/")
            for pid in pids]


# ---- the unit's own processes ---------------------------------------------------------------------


def test_nothing_but_the_supervisor_is_root(machine):
    configure(machine, who={"command": PYTHON, "args": ["-SE", f"{PLACE}/users_backend.py"]},
              own={"command": PYTHON, "args": ["-SE", f"{PLACE}/users_backend.py"], "envmux": {"user": "dynamic"}})
    install(machine, E2E / "users_backend.py")
    assert call(machine, "who", "whoami")["uids"] == [uid(machine, "envmux-backend")] * 3
    assert call(machine, "who", "whoami")["env"]["HOME"] == HOME
    assert call(machine, "own", "whoami")["uids"][0] >= 1879048193
    supervisor = machine.main_pid("envmux.service")
    sessions = machine.cgroups("envmux-sessions.service")
    assert sum(len(pids) for pids in sessions.values()) >= 6
    for path, pids in sessions.items():
        for pid in pids:
            if path.split("/")[0] == "hold":
                continue
            facts = status(machine, pid)
            assert facts["Uid"].split()[0] != "0", (path, facts["Name"])
            assert facts["CapEff"] == facts["CapPrm"] == facts["CapAmb"] == "0" * 16
            assert facts["NoNewPrivs"] == "1"
    mask = int(status(machine, supervisor)["CapEff"], 16)
    names = {"cap_chown": 0, "cap_dac_override": 1, "cap_fowner": 3, "cap_kill": 5, "cap_setgid": 6, "cap_setuid": 7,
             "cap_sys_chroot": 18}
    assert mask == sum(1 << names[name] for name in CAPABILITIES)


def test_routers_see_sockets_and_nothing_else(machine):
    routers = below(machine, "routers")
    assert routers
    for pid in routers:
        facts = status(machine, pid)
        assert facts["Uid"].split() == [str(uid(machine, "envmux-router"))] * 4 and facts["Groups"].strip() == ""
        assert facts["Seccomp"].strip() == "2"
        assert machine.run(["readlink", f"/proc/{pid}/root"]).stdout.strip() == "/run/envmux/sockets"
        listed = machine.run(["find", f"/proc/{pid}/root/", "-mindepth", "1", "!", "-type", "s"]).stdout
        assert listed == ""


def test_a_dead_supervisor_changes_none_of_it(machine):
    before = call(machine, "own", "whoami")
    routers = below(machine, "routers")
    old = machine.main_pid("envmux.service")
    machine.kill(old)
    machine.wait_until(lambda: machine.main_pid("envmux.service") not in (0, old), "another supervisor")
    machine.wait_for_state("envmux.service", "active")
    assert call(machine, "own", "whoami") == before
    assert below(machine, "routers") == routers


def test_the_figure_that_is_documented(machine):
    """systemd-analyze security, as envmux.service(8) states it."""
    text = machine.run("systemd-analyze security --no-pager envmux.service").stdout
    exposure = float(re.search(r"envmux.service: ([0-9.]+)", text).group(1))
    for option in ("MemoryDenyWriteExecute", "RestrictNamespaces", "PrivateDevices"):
        assert machine.show("envmux.service", option) in ("no", "0", "")
    version = machine.run("systemctl --version").stdout.split()[1]
    manual = (harness.TOP / "packaging" / "man" / "envmux.service.8").read_text()
    stated = re.search(r"says ([0-9.]+) with systemd ([0-9]+)", manual)
    if stated.group(2) != version:
        pytest.skip(f"the figure of systemd {version} is another one")
    assert float(stated.group(1)) == exposure


# ---- backends -------------------------------------------------------------------------------------


def readable(machine, path):
    """Whether the user of backends can read a file of the repository at its place."""
    return machine.run(["test", "-r", path], user="envmux-backend", check=False).returncode == 0


def test_node(machine):
    """V8 compiles what is hot: memory that is written, then executed."""
    node_tools.use_pinned_node()
    node, package = shutil.which("node"), harness.NODE_MODULES / "@modelcontextprotocol" / "server-everything"
    if not node or not package.is_dir():
        pytest.skip("needs node and the packages of tests/e2e/package.json in build/node")
    script = package.resolve() / "dist" / "index.js"
    node = pathlib.Path(node).resolve()
    if not readable(machine, script) or not readable(machine, node):
        pytest.skip(f"{script} cannot be read by every user")
    configure(machine, node={"command": str(node), "args": [str(script), "stdio"]})
    assert "4" in str(call(machine, "node", "get-sum", a=1, b=3))


def test_uv(machine):
    uv = UV / "bin" / "uv"
    if not uv.exists():
        pytest.skip("needs uv and its cache in build/uv")
    install(machine, HERE / "backends" / "uv_server.py")
    machine.run(["install", "-m", "755", uv, "/usr/local/bin/uv"])
    machine.run(f"install -d -o envmux-backend -g envmux-backend {HOME}/.cache && "
                f"cp -r {UV}/cache {HOME}/.cache/uv && chown -R envmux-backend: {HOME}/.cache")
    configure(machine, uv={"command": "/usr/local/bin/uv",
                           "args": ["run", "--offline", "--python", PYTHON, "--script", f"{PLACE}/uv_server.py"]})
    me = call(machine, "uv", "whoami")
    assert me["uid"] == uid(machine, "envmux-backend")
    assert me["prefix"].startswith(f"{HOME}/.cache/uv/")


@pytest.fixture(scope="module")
def whole_proc(machine):
    """A /proc without anything mounted over parts of it, as a real machine has: the kernel lets a sandbox mount one
    of its own only where that reveals nothing."""
    machine.run("awk '$5 ~ \"^/proc/\" {print $5}' /proc/self/mountinfo | xargs -n1 umount --lazy")
    machine.systemctl("restart", "envmux")


def has_user_namespaces(machine):
    return machine.run("unshare --user --map-root-user true", user="envmux-backend", check=False).returncode == 0


def test_bubblewrap(machine, whole_proc):
    if not shutil.which("bwrap"):
        pytest.skip("needs bubblewrap")
    if not has_user_namespaces(machine):
        pytest.skip("this kernel lets no user make namespaces")
    install(machine, E2E / "users_backend.py")
    sandbox = ["--unshare-all", "--die-with-parent", "--hostname", "sandbox", "--ro-bind", "/", "/", "--proc", "/proc",
               "--dev", "/dev", "--tmpfs", "/tmp", "--"]
    configure(machine, sandboxed={"command": shutil.which("bwrap"),
                                  "args": [*sandbox, PYTHON, "-SE", f"{PLACE}/users_backend.py"]})
    me = call(machine, "sandboxed", "whoami")
    assert me["pid"] < 10 and me["uids"][0] == uid(machine, "envmux-backend")
    assert call(machine, "sandboxed", "list", path="/proc/1") != {}


def test_chromium_with_its_sandbox(machine):
    if not shutil.which("chromium"):
        pytest.skip("needs chromium")
    if not has_user_namespaces(machine):
        pytest.skip("this kernel lets no user make namespaces")
    install(machine, HERE / "backends" / "browser_server.py")
    configure(machine, browser={"command": PYTHON, "args": ["-SE", f"{PLACE}/browser_server.py"]})
    page = call(machine, "browser", "dump")
    assert "<body>42</body>" in page["dom"], page
    assert page["sandboxed"] > 0 and page["uid"] == uid(machine, "envmux-backend")
