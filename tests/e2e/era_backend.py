"""A stdio backend of a chosen character, for probes: era_backend.py CHARACTER FOLDER.

modern   answers server/discover
slow     the same, once FOLDER/go is there
legacy   refuses it
exits    exits when its first message is not initialize
silent   says nothing to it, but answers initialize
mute     says nothing at all
dead     exits before it reads anything

Every start adds its pid to FOLDER/starts, every message its method to FOLDER/methods."""

import json
import os
import pathlib
import sys
import time

character, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def note(name, text):
    with open(folder / name, "a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def answer(message, **members):
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **members}), flush=True)


def discover(message):
    if character == "exits":
        print("what is this?", file=sys.stderr)
        sys.exit(3)
    while character == "slow" and not (folder / "go").exists():
        time.sleep(0.01)
    if character in ("modern", "slow"):
        answer(message, result={"supportedVersions": ["2026-07-28"], "capabilities": {}, "resultType": "complete"})
    elif character == "legacy":
        answer(message, error={"code": -32601, "message": "Method not found"})


def main():
    note("starts", os.getpid())
    print(f"hello from {character}", file=sys.stderr, flush=True)
    if character == "dead":
        sys.exit(4)
    for line in sys.stdin:
        message = json.loads(line)
        note("methods", message["method"])
        if character == "mute" or "id" not in message:
            continue
        if message["method"] == "initialize":
            answer(message, result={"protocolVersion": "2025-06-18", "capabilities": {},
                                    "serverInfo": {"name": character, "version": "1"}})
        elif message["method"] == "server/discover":
            discover(message)
        else:
            answer(message, result={})


main()
