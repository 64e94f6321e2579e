"""One server, transparent_backend.py, behind envmux over either transport; for the tests named after it."""

import os
import pathlib
import sys

import mcp_streams

BACKEND = pathlib.Path(__file__).with_name("transparent_backend.py")
TRANSPORTS = ["stdio", "http"]


def config(transport, **envmux):
    arguments = ["-I", "-S", str(BACKEND)] + (["--port", "${envmux:port}"] if transport == "http" else [])
    return {"mcpServers": {"t": {"command": sys.executable, "args": arguments, "envmux": {"transport": transport, **envmux}}}}


def caller(run, key=None, version="2025-06-18", **options):
    """A client that has initialized; before 2025-11-25 nothing of what is lost can be asked for again."""
    client = mcp_streams.Caller(run.mcp("t", key=key), version=version, timeout=60, **options)
    client.initialize()
    return client


def is_sanitized(run):
    """Sanitizers keep freed memory: what is resident says nothing then."""
    return b"libasan" in pathlib.Path(f"/proc/{run.routers()[0].pid}/maps").read_bytes()


def resident(process):
    """Bytes of memory of a process."""
    return int(pathlib.Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
