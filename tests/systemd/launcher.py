"""Boots one machine and holds it: a program of its own, since a test process with threads cannot fork safely.

    launcher.py FOLDER…        folders of the host to show inside, read-only

Says what happens as JSON lines on stdout, and ends the machine when its stdin does; so a test process that
is killed leaves nothing. Killed itself, it takes the machine along and leaves an empty cgroup, which the
next launcher removes.

    {"cgroup": PATH, "pid": PID}     the machine's first process runs
    {"ready": TEXT}                  systemd has booted
    {"ended": STATUS}                systemd has ended, or never came; "console" has its last words
    {"unsupported": TEXT}            not possible on this host
"""

import json
import os
import select
import signal
import socket
import sys

import cgroup
import guest
import linux

NAMESPACES = linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS | linux.CLONE_NEWPID
CONSOLE_MAX = 64 * 1024


def say(**message):
    print(json.dumps(message), flush=True)


class Launcher:
    def __init__(self, binds):
        self.binds = binds
        self.console = bytearray()
        self.path = self.pid = None

    def make_cgroup(self):
        parent = cgroup.mount_point()
        if parent is None:
            raise guest.Unsupported("cgroup v2 is not mounted")
        cgroup.sweep(parent)
        try:
            self.path, self.lock = cgroup.create(parent)
        except OSError as error:
            raise guest.Unsupported.because(error, f"a cgroup in {parent}") from None
        if not (self.path / "cgroup.kill").exists():
            raise guest.Unsupported("the kernel has no cgroup.kill (before Linux 5.14)")

    def start(self):
        self.make_cgroup()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.terminal, slave = os.openpty()
        try:
            linux.unshare(NAMESPACES)
        except PermissionError as error:
            raise guest.Unsupported.because(error, "new namespaces") from None
        self.failure, failure = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            self.be_first_process(slave, failure)
        os.close(slave)
        os.close(failure)

    def be_first_process(self, slave, failure):
        """In the child; what goes wrong is told through the pipe, which exec closes."""
        def tell(**message):
            os.write(failure, json.dumps(message).encode())

        try:
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.setsid()
            # Alone in its cgroup before that becomes the root of a namespace: else others would show as pid 0.
            (self.path / "payload/cgroup.procs").write_text("0")
            linux.unshare(linux.CLONE_NEWCGROUP | linux.CLONE_NEWNS)
            console = os.ttyname(slave)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in range(3):
                os.dup2(null, fd)
            guest.become_systemd(self.binds, console, self.listener)
        except PermissionError as error:
            tell(unsupported=str(guest.Unsupported.because(error)))
        except guest.Unsupported as error:
            tell(unsupported=str(error))
        except OSError as error:
            tell(ended=str(error))
        finally:
            os._exit(125)

    def serve(self):
        with os.fdopen(self.failure) as pipe:
            failure = pipe.read()
        if failure:
            say(**json.loads(failure))
            return
        say(cgroup=str(self.path), pid=self.pid)
        child = os.pidfd_open(self.pid)
        handlers = {self.listener.fileno(): self.hear, self.terminal: self.keep_console}
        poll = select.poll()
        for fd in (sys.stdin.fileno(), child, *handlers):
            poll.register(fd, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == sys.stdin.fileno():
                    return
                if fd == child:
                    say(ended=os.waitpid(self.pid, 0)[1], console=self.console.decode(errors="replace"))
                    self.pid = None
                    return
                if not handlers[fd]():
                    poll.unregister(fd)

    def hear(self):
        text = self.listener.recv(4096).decode(errors="replace")
        if "READY=1" in text.splitlines():
            say(ready=text)
        return True

    def keep_console(self):
        try:
            self.console += os.read(self.terminal, 4096)
        except OSError:  # nobody has it open just now
            return False
        del self.console[:-CONSOLE_MAX]
        return True

    def end(self):
        if self.path:
            if self.pid:
                cgroup.kill(self.path)
                os.waitpid(self.pid, 0)
            cgroup.remove(self.path)


def main():
    launcher = Launcher(sys.argv[1:])
    try:
        launcher.start()
        launcher.serve()
    except guest.Unsupported as error:
        say(unsupported=str(error))
    except BrokenPipeError:
        pass  # nobody listens any more
    finally:
        launcher.end()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the end of stdin says it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
