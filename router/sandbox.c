#include "router/sandbox.h"

#include "common/log.h"

#include <fcntl.h>
#include <grp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_FILTER false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_FILTER false
#endif
#endif
#ifndef WITH_FILTER
#define WITH_FILTER true
#endif

/* What serving takes: sockets that are there, Unix sockets by name, memory, time and the loop. */
static const int allowed[] = {
        SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(getpeername), SCMP_SYS(getsockname),
        SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
        SCMP_SYS(recvmmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg),
        SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(dup),
        SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(lseek), SCMP_SYS(memfd_create), SCMP_SYS(ftruncate),
        SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(eventfd2),
        SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_pwait2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
        SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
        SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(rseq), SCMP_SYS(set_robust_list),
        SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
        SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
        SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
        SCMP_SYS(getegid), SCMP_SYS(getrlimit), SCMP_SYS(getrusage),
        SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigreturn),
        SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* Those that are harmless with one kind of argument. */
static int allow_in_part(scmp_filter_ctx filter)
{
        const scmp_datum_t no_exec = PROT_EXEC, by_fd = AT_EMPTY_PATH, self = (scmp_datum_t) getpid();
        const struct {
                int call;
                struct scmp_arg_cmp argument;
        } parts[] = {
                { SCMP_SYS(socket), { 0, SCMP_CMP_EQ, AF_UNIX, 0 } },
                { SCMP_SYS(socketpair), { 0, SCMP_CMP_EQ, AF_UNIX, 0 } },
                { SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, FIONREAD, 0 } },
                { SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TCGETS, 0 } },             /* isatty(3) */
                { SCMP_SYS(mmap), { 2, SCMP_CMP_MASKED_EQ, no_exec, 0 } },
                { SCMP_SYS(mprotect), { 2, SCMP_CMP_MASKED_EQ, no_exec, 0 } },
                { SCMP_SYS(newfstatat), { 3, SCMP_CMP_MASKED_EQ, by_fd, by_fd } }, /* fstat(3) */
                { SCMP_SYS(prlimit64), { 2, SCMP_CMP_EQ, 0, 0 } },              /* getrlimit(3) */
                { SCMP_SYS(tgkill), { 0, SCMP_CMP_EQ, self, 0 } },              /* abort(3) */
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(parts); i++)
                r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, parts[i].call, 1, &parts[i].argument);
        return r;
}

static int filter_load(void)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r = filter ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(allowed); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
        if (r == 0)
                r = allow_in_part(filter);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

/* Another user without root's rights has no capabilities left and cannot be traced by its equals. */
static int become(const struct sandbox_user *user)
{
        bool is_root = geteuid() == 0;

        if (is_root && (chroot(".") < 0 || chdir("/") < 0 || setgroups(0, NULL) < 0))
                return -errno;
        if (setresgid(user->gid, user->gid, user->gid) < 0 || setresuid(user->uid, user->uid, user->uid) < 0)
                return -errno;
        return 0;
}

int sandbox_enter(const struct sandbox_user *user)
{
        int r = user->is_set ? become(user) : 0;

        if (r < 0)
                return r;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        r = WITH_FILTER ? filter_load() : 0;
        if (r < 0)
                (void) log_warning_errno(r, "routers go on without a filter of system calls");
        return 0;
}
