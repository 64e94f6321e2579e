"""An MCP server over stdio with one tool: what a page becomes in a browser that runs its scripts in its sandbox."""

import json
import os
import pathlib
import subprocess
import sys

SCRIPT = "document.body.textContent = [6, 7].reduce((a, b) => a * b)"


def filtered_children():
    """How many processes of the browser have a filter of system calls more than we have."""
    def filters(pid):
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("Seccomp_filters:"))

    own, more = filters("self"), 0
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            more += b"--type=renderer" in (path / "cmdline").read_bytes() and filters(path.name) > own
        except (OSError, StopIteration):
            pass
    return more


def dump():
    browser = subprocess.Popen(
        ["chromium", "--headless", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--dump-dom",
         "--virtual-time-budget=2000", f"--user-data-dir={os.environ['TMPDIR']}/profile",
         f"data:text/html,<script>onload = () => {{ {SCRIPT} }}</script>"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    sandboxed = 0
    while browser.poll() is None and not sandboxed:
        sandboxed = filtered_children()
    dom, words = browser.communicate()
    return {"dom": dom, "sandboxed": sandboxed, "uid": os.getuid(), "stderr": words[-2000:]}


for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    if request["method"] == "initialize":
        result = {"protocolVersion": request["params"]["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "browser", "version": "1"}}
    else:
        result = {"content": [{"type": "text", "text": json.dumps(dump())}]}
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
