"""A machine of its own for some seconds: user-mode-linux, a kernel that is a process of this one, whose cgroups have
every controller whatever this machine's have."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

KERNEL = "linux.uml"
MEMORY_BYTES = 1 << 30


class NoMachine(Exception):
    """Why none can be booted; the tests are skipped for that."""


def check():
    if not shutil.which(KERNEL):
        raise NoMachine("no user-mode-linux here")


def memory_folder(folder):
    """Where the file that is the machine's memory goes: in memory, where there is so much and it may be executed."""
    with contextlib.suppress(OSError):
        status = os.statvfs("/dev/shm")
        if status.f_bavail * status.f_frsize > MEMORY_BYTES and not status.f_flag & os.ST_NOEXEC:
            return "/dev/shm"
    return str(folder)


def stay_on_one_processor():
    """The kernel hands over to its processes by ptrace at every system call: across processors it takes thrice as
    long."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def boot(image, folder, timeout):
    """Boots a machine that sees folder as /host and runs /host/runner.py; the console goes to folder/console.
    Returns None when it powered off, else what went wrong."""
    folder = pathlib.Path(folder)
    command = [KERNEL, "umid=envmux-limits", f"uml_dir={folder}/", f"mem={MEMORY_BYTES >> 20}M",
               f"ubd0={folder / 'disk'},{image}", "root=/dev/ubda", "rw", f"hostfs={folder}",
               "con=null", "con0=fd:0,fd:1", "quiet", "printk.time=1", "init=/lib/systemd/systemd",
               "systemd.unified_cgroup_hierarchy=1", "systemd.show_status=0"]
    with open(folder / "console", "wb") as console:
        kernel = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                                  env={**os.environ, "TMPDIR": memory_folder(folder)}, start_new_session=True,
                                  preexec_fn=stay_on_one_processor)
        try:
            status = kernel.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"the machine was killed after {timeout} s"
        finally:
            # Its processes are processes here, all of one session; those of a kernel that ended are gone.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(kernel.pid, signal.SIGKILL)
            kernel.wait()
    return f"the machine ended with status {status}" if status else None
