"""The cgroup of a machine, and the removal of those that a killed launcher left behind.

    envmux-machine-NAME/     locked by its launcher: who gets the lock may remove it
        payload/             the machine's own root
        run-N/               a command that a test runs inside, by cgroup.kill ended as a whole
"""

import contextlib
import fcntl
import os
import pathlib
import secrets
import time

PREFIX = "envmux-machine-"


def mount_point():
    """Where cgroup v2 is mounted, or None."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind = line.split()[:3]
        if kind == "cgroup2":
            return pathlib.Path(place)
    return None


def _lock(path):
    """An fd that holds the folder's lock, or None where someone else does or it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == os.fstat(fd).st_ino:
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def create(parent):
    """A new folder and its lock. Its maker takes what the parent can offer of controllers."""
    while True:
        path = parent / (PREFIX + secrets.token_hex(6))
        path.mkdir()
        fd = _lock(path)
        if fd is not None:  # else someone tidied up in between
            break
    for controller in (path / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (path / "cgroup.subtree_control").write_text(f"+{controller}")
    (path / "payload").mkdir()
    return path, fd


def is_populated(path):
    return "populated 1" in (path / "cgroup.events").read_text()


def kill(path, patience=10):
    """Kills everything below, and waits until it is gone."""
    deadline = time.monotonic() + patience
    (path / "cgroup.kill").write_text("1")
    while is_populated(path):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} still has processes")
        time.sleep(0.002)


def remove(path):
    """Kills what is in it and removes the whole tree."""
    with contextlib.suppress(FileNotFoundError):
        kill(path)
        for folder, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(folder)


def sweep(parent):
    """Removes what launchers left that were killed themselves."""
    for path in parent.glob(PREFIX + "*"):
        fd = _lock(path)
        if fd is not None:
            remove(path)
            os.close(fd)
