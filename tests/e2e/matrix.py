"""The matrix of the README: which revision a client and a backend end up with through envmux.

The table in README.md is the only place that says what to expect: test_matrix.py runs its every cell. A row is a client
in one mode, a column a backend; a cell is the revision that they agree on, "refused" when they have none in common, or
"–" when there is nothing to run.
"""

import dataclasses
import json
import subprocess
import sys

import harness
import inspector
import node_tools

README = harness.TOP / "README.md"
EVERYTHING = "@modelcontextprotocol/server-everything"
SECONDS = 60

PLANS = {
    "everything": {
        "tools": 10,
        "echo": {"name": "echo", "arguments": {"message": "hällo ✓"}},
        "progress": {"name": "trigger-long-running-operation", "arguments": {"duration": 0.3, "steps": 3}},
        "sampling": {"name": "trigger-sampling-request", "arguments": {"prompt": "hi", "maxTokens": 10}},
    },
    "fixture": {
        "tools": 10,
        "echo": {"name": "test_x_mcp_header", "arguments": {"region": "hällo ✓"}},
        "progress": {"name": "test_tool_with_progress", "arguments": {}},
        "sampling": {"name": "test_sampling", "arguments": {"prompt": "hi"}},
    },
}
ECHOES = {"everything": "Echo: hällo ✓", "fixture": "region hällo ✓"}
STEPS = {"everything": [1, 2, 3], "fixture": [0, 50, 100]}

# column of the table → server of the configuration, plan
BACKENDS = {
    "legacy, stdio": ("everything-stdio", "everything"),
    "legacy, HTTP": ("everything-http", "everything"),
    "both eras, stdio": ("fixture-stdio", "fixture"),
    "both eras, HTTP": ("fixture-http", "fixture"),
}


def configuration():
    fixture = str(node_tools.installed("conformance") / "server.mjs")
    everything = {"command": "npx", "cwd": str(node_tools.FOLDER)}
    http, port = {"envmux": {"transport": "http"}}, "${envmux:port}"
    return {"mcpServers": {
        "everything-stdio": {**everything, "args": ["-y", EVERYTHING, "stdio"]},
        "everything-http": {**everything, "args": ["-y", EVERYTHING, "streamableHttp"], "env": {"PORT": port}, **http},
        "everything-sse": {**everything, "args": ["-y", EVERYTHING, "sse"], "env": {"PORT": port}, **http},
        "fixture-stdio": {"command": "node", "args": [fixture, "stdio"]},
        "fixture-http": {"command": "node", "args": [fixture, "http", port], **http},
    }}


# ---- clients ------------------------------------------------------------------------------------


def run_driver(command, mode, url, plan):
    done = subprocess.run([*command, mode, url, json.dumps(plan)], capture_output=True, text=True, timeout=SECONDS,
                          check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def python(interpreter):
    script = harness.TOP / "tests/e2e/clients/matrix.py"
    return lambda mode, url, plan: run_driver([interpreter, script], mode, url, plan)


def typescript(sdk):
    return lambda mode, url, plan: run_driver(["node", node_tools.installed("matrix.mjs"), sdk], mode, url, plan)


def ask_inspector(mode, url, plan):
    """The Inspector makes one request per run, and says neither the revision nor the progress."""
    listed = inspector.ask(mode, url, "tools/list")
    if "error" in listed:
        return listed
    echo = plan["echo"]
    return {"tools": len(listed["tools"]) >= plan["tools"],
            "echo": inspector.call(mode, url, echo["name"], **echo["arguments"])}


CLIENTS = {  # beginning of a row's name → how it is run
    "Python SDK 1.x": python(sys.executable),
    "Python SDK 2.x": python(harness.VENV_MCP2 / "bin" / "python"),
    "TypeScript SDK 1.x": typescript("sdk"),
    "TypeScript SDK 2.x": typescript("client"),
    "Inspector 2.x": ask_inspector,
}


# ---- the table ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Cell:
    """A client in one mode, a backend, and what the table says of them."""

    client: str
    mode: str
    backend: str
    expected: str

    def __str__(self):
        return f"{self.client}, {self.mode} - {self.backend}"

    def url(self, run):
        server, _ = BACKENDS[self.backend]
        if self.mode != "sse":
            return run.mcp(server)
        server = "everything-sse" if server == "everything-http" else server
        return run.mcp(server).removesuffix("/mcp") + "/sse"

    def report(self, run):
        return CLIENTS[self.client](self.mode, self.url(run), PLANS[BACKENDS[self.backend][1]])


def cells():
    """Every cell of the README's table that is not "–"."""
    lines = README.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| client | mode |"))
    header, _, *rows = [[word.strip(" `") for word in line.strip("|").split("|")]
                        for line in lines[start:lines.index("", start)]]
    return [Cell(row[0], row[1], backend, word)
            for row in rows for backend, word in zip(header[2:], row[2:], strict=True) if word != "–"]
