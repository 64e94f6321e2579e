"""What a machine's first process does before it becomes systemd: a root of its own, and nothing of the host's to harm.

The root is an overlay of the host's root file system with a tmpfs above it, so that whatever is installed
here is there, too, and whatever is written is gone afterwards. Other mounts of the host do not show, nor do
/tmp and /run; `binds` brings single folders back, read-only.

What the kernel has once for all (clock, modules, reboot, /proc/sys) is out of reach: a machine that powers
itself off ends alone.
"""

import os
import pathlib
import shutil
import socket
import stat
import uuid

import linux

HOSTNAME = "envmux-machine"
NOTIFY = "/run/host/notify"  # where a container manager listens, by systemd's CONTAINER_INTERFACE
CHANGES = "/run/host/changes"  # the upper layer alone: what is not as on the host

SYSTEMD = "/lib/systemd/systemd"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "container": HOSTNAME,
    "NOTIFY_SOCKET": NOTIFY,
}

# The numbers of linux/capability.h
CAPABILITIES_DROPPED = {
    "sys_module": 16, "sys_rawio": 17, "sys_boot": 22, "sys_time": 25, "mknod": 27, "mac_override": 32,
    "mac_admin": 33, "syslog": 34, "wake_alarm": 35, "block_suspend": 36,
}

# Nothing to talk to (consoles, hardware), or the host's business (package lists)
UNITS_MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service", "dev-hugepages.mount",
    "dpkg-db-backup.timer", "e2scrub_reap.service", "getty-static.service", "getty.target",
    "sys-fs-fuse-connections.mount", "systemd-hwdb-update.service", "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
)

QUIET = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}  # all of major 1


class Unsupported(Exception):
    """This host cannot do it (no overlay, no permission): tests skip with what this says."""

    @staticmethod
    def because(error, what=None):
        """For an OSError: "mount overlay on /x: No such device"."""
        return Unsupported(f"{what or error.filename}: {error.strerror}")


def overlay_root(binds):
    """Mounts the new root and returns its place. The tmpfs above it hides the host's /tmp, in here alone."""
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    # Opened before /tmp is hidden: that is where some of them are.
    sources = [(folder, os.open(folder, os.O_PATH | os.O_CLOEXEC)) for folder in binds]
    base = pathlib.Path("/tmp")
    try:
        linux.mount("envmux-machine", base, "tmpfs", 0, "mode=0755,size=2g")
        for name in ("upper", "work", "root"):
            (base / name).mkdir(mode=0o755)
        linux.mount("overlay", base / "root", "overlay", 0,
                    f"lowerdir=/,upperdir={base}/upper,workdir={base}/work")
    except OSError as error:
        raise Unsupported.because(error) from None
    root = base / "root"
    for place, options in (("run", "mode=0755,size=512m"), ("tmp", "mode=1777,size=1g")):
        (root / place).mkdir(exist_ok=True)
        linux.mount("tmpfs", root / place, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
    bind_read_only(base / "upper", root / CHANGES.lstrip("/"))
    for folder, fd in sources:
        bind_read_only(f"/proc/self/fd/{fd}", root / folder.lstrip("/"))
        os.close(fd)
    return root


def bind_read_only(source, target, flags=0):
    if not target.exists():
        target.mkdir(parents=True)
    linux.mount(source, target, None, linux.MS_BIND)
    linux.mount(None, target, None, linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY | flags)


def mount_kernel(root):
    """/proc and /sys of the new namespaces, without the knobs that are not namespaced."""
    proc = root / "proc"
    linux.mount("proc", proc, "proc", QUIET)
    for name in ("sys", "irq", "bus", "fs", "sysrq-trigger"):
        if (proc / name).exists():
            bind_read_only(proc / name, proc / name, QUIET)
    for name in ("kcore", "kmsg", "timer_list"):
        if (proc / name).exists():
            linux.mount("/dev/null", proc / name, None, linux.MS_BIND)
    # Read-only, upon which udevd and its like leave themselves out.
    linux.mount("sysfs", root / "sys", "sysfs", QUIET | linux.MS_RDONLY)
    linux.mount("cgroup2", root / "sys/fs/cgroup", "cgroup2", QUIET)


def make_devices(root, console):
    dev = root / "dev"
    linux.mount("tmpfs", dev, "tmpfs", linux.MS_NOSUID, "mode=0755,size=8m")
    for name, minor in DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR, os.makedev(1, minor))
        (dev / name).chmod(0o666)
    os.mknod(dev / "tty", stat.S_IFCHR, os.makedev(5, 0))
    (dev / "tty").chmod(0o666)
    for name in ("pts", "shm", "mqueue"):
        (dev / name).mkdir()
    linux.mount("devpts", dev / "pts", "devpts", linux.MS_NOSUID | linux.MS_NOEXEC,
                "newinstance,ptmxmode=0666,mode=0620,gid=5")
    linux.mount("tmpfs", dev / "shm", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
    linux.mount("mqueue", dev / "mqueue", "mqueue", QUIET)
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
    for name, target in links.items():
        (dev / name).symlink_to(target)
    (dev / "console").touch()
    linux.mount(console, dev / "console", None, linux.MS_BIND)


def forget_the_host(root):
    """Configuration as of a fresh installation: nothing that the host has enabled is started."""
    etc = root / "etc"
    for folder in ("etc/systemd/system", "var/log/journal", "var/lib/systemd/linger", "var/lib/systemd/timers",
                   "etc/envmux", "var/lib/envmux"):
        shutil.rmtree(root / folder, ignore_errors=True)
    for folder in etc.glob("rc?.d"):
        shutil.rmtree(folder)
    units = etc / "systemd/system"
    units.mkdir()
    for unit in UNITS_MASKED:
        (units / unit).symlink_to("/dev/null")
    (etc / "systemd/journald.conf.d").mkdir(exist_ok=True)
    (etc / "systemd/journald.conf.d/machine.conf").write_text(
        "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n")
    (etc / "fstab").write_text("")
    (etc / "machine-id").write_text(uuid.uuid4().hex + "\n")
    (etc / "hostname").write_text(HOSTNAME + "\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n")
    # The first lets maintainer scripts start services; without the second dpkg does not index manuals.
    for name in ("usr/sbin/policy-rc.d", "var/lib/man-db/auto-update"):
        (root / name).unlink(missing_ok=True)


def listen_for_ready(root, listener):
    path = root / NOTIFY.lstrip("/")
    listener.bind(os.fspath(path))


def become_systemd(binds, console, listener):
    """Runs as the first process of fresh namespaces, and does not return."""
    root = overlay_root(binds)
    mount_kernel(root)
    make_devices(root, console)
    forget_the_host(root)
    listen_for_ready(root, listener)
    socket.sethostname(HOSTNAME)
    os.chdir(root)
    linux.pivot_root(".", ".")
    linux.unmount(".", linux.MNT_DETACH)
    os.chdir("/")
    for capability in CAPABILITIES_DROPPED.values():
        linux.prctl(linux.PR_CAPBSET_DROP, capability)
    os.execve(SYSTEMD, [SYSTEMD, "--system", "--unit=multi-user.target", "--show-status=no", "--log-target=journal"],
              ENVIRONMENT)
