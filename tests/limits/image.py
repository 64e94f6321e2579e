"""The disk of the test machine: Debian with systemd, D-Bus, Python and what the package depends on.

Making it takes about a minute and the network, so it is kept in ~/.cache/envmux (XDG_CACHE_HOME), named by a hash
of what it is made from. A machine writes to a copy-on-write file beside it, never to the image."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
UNIT = HERE / "envmux-limits.service"
PACKAGES = ["systemd", "systemd-sysv", "dbus", "python3",
            "libevent-core-2.1-7", "libjson-c5", "libmd0", "libseccomp2", "libsystemd0"]
# What only a machine with devices or users needs; each costs a part of a second at every boot.
MASKED = ["e2scrub_reap", "getty@tty1", "systemd-logind", "systemd-random-seed", "systemd-update-utmp",
          "systemd-update-utmp-runlevel", "systemd-user-sessions",
          *(f"modprobe@{module}" for module in ("configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop"))]
DISK_BYTES = 1 << 30
MIRROR = os.environ.get("ENVMUX_DEBIAN_MIRROR", "http://deb.debian.org/debian")
UNUSED_SECONDS = 30 * 24 * 3600


class NoImage(Exception):
    """Why there is none; the tests are skipped for that."""


def suite():
    """The release this machine runs, since the package was built with its libraries."""
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise NoImage("/etc/os-release names no release of Debian")


def image_path():
    folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "envmux"
    made_from = [suite(), *PACKAGES, *MASKED, DISK_BYTES, UNIT.read_text(), pathlib.Path(__file__).read_text()]
    return folder / f"limits-{hashlib.sha256(repr(made_from).encode()).hexdigest()[:16]}.img"


@contextlib.contextmanager
def locked(path):
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise NoImage(f"{command[0]} failed: {result.stdout.strip().splitlines()[-1:]}")


def configure(root):
    """What debootstrap leaves to be done: the unit that runs the tests, nothing that slows the boot."""
    units = root / "etc/systemd/system"
    shutil.copy(UNIT, units)
    wants = units / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / UNIT.name).symlink_to(f"../{UNIT.name}")
    for name in MASKED:
        (units / f"{name}.service").symlink_to("/dev/null")
    (units / "timers.target").symlink_to("/dev/null")
    generators = root / "etc/systemd/system-generators"  # run at every boot and daemon-reload, for nothing
    generators.mkdir(exist_ok=True)
    for generator in (root / "lib/systemd/system-generators").iterdir():
        (generators / generator.name).symlink_to("/dev/null")
    (root / "etc/hostname").write_text("limits\n")
    (root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
    for folder in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()


def make(path):
    missing = [name for name in ("debootstrap", "mke2fs") if not shutil.which(name)]
    if missing:
        raise NoImage(f"no {missing[0]} here")
    if os.geteuid() != 0:
        raise NoImage("only root can make the machine's disk with debootstrap")
    with tempfile.TemporaryDirectory(prefix="limits-", dir=path.parent) as folder:
        root, image = pathlib.Path(folder, "root"), pathlib.Path(folder, "image")
        run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite(), str(root), MIRROR)
        configure(root)
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(image), f"{DISK_BYTES >> 10}k")
        image.rename(path)


def forget_unused(folder):
    for old in folder.glob("limits-*.img"):
        if time.time() - old.stat().st_mtime > UNUSED_SECONDS:
            old.unlink()


def image():
    """The path of the image, which is made when it is not there. Raises NoImage."""
    path = image_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent / "limits.lock"):
        if not path.exists():
            make(path)
        os.utime(path)
        forget_unused(path.parent)
    return path
