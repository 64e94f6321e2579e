"""The MCP Inspector's CLI: one request per run."""

import json
import subprocess

import harness

SECONDS = 60


def ask(mode, url, method, *arguments):
    """The result of one request, or {"error": what it wrote}; mode is "legacy", "auto" or "modern"."""
    command = [harness.NODE_MODULES / ".bin" / "mcp-inspector", "--cli", "--server-url", url, "--transport", "http",
               "--protocol-era", mode, "--format", "json", "--quiet", "--stored-auth-only", "--method", method]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    return json.loads(done.stdout)["result"] if done.returncode == 0 else {"error": done.stderr}


def call(mode, url, tool, *arguments, **tool_arguments):
    """The first text of what a tool answers."""
    given = ("--tool-name", tool, "--tool-args-json", json.dumps(tool_arguments))
    result = ask(mode, url, "tools/call", *given, *arguments)
    return result["content"][0]["text"] if "content" in result else result
