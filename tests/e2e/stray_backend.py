"""A backend that leaves as much behind as it can: python3 stray_backend.py MARK LAKE [ARGUMENT…].

Before it becomes the frozen lake LAKE it starts daemons, each of which double-forks, leads a session of its own,
ignores every signal that can be ignored, closes every file and is the parent of a further one; and makes folders
in its workspace that cannot be entered. A daemon keeps this command line with MARK, for a test to find it by."""

import os
import signal
import sys

DAEMONS = 2   # at the top,
DEPTH = 3     # each above a chain of so many more
ALL = DAEMONS * (1 + DEPTH)


def daemon(depth):
    """Starts one above `depth` others and returns when all of them are ready."""
    ready, say_ready = os.pipe()
    child = os.fork()
    if child > 0:
        os.close(say_ready)
        os.waitpid(child, 0)
        assert os.read(ready, 1) == b"."
        os.close(ready)
        return
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    if depth > 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        daemon(depth - 1)
    os.write(say_ready, b".")
    os.closerange(0, 1024)
    while True:
        signal.pause()


def lock_folders(workspace):
    os.makedirs(f"{workspace}/locked/deeper/deepest")
    os.chmod(f"{workspace}/locked/deeper", 0)
    os.chmod(f"{workspace}/locked", 0o500)
    os.chmod(f"{workspace}/..", 0o500)


if __name__ == "__main__":
    for _ in range(DAEMONS):
        daemon(DEPTH)
    lock_folders(os.environ["ENVMUX_WORKSPACE"])
    os.execv(sys.argv[2], sys.argv[2:])
