#include "supervisor/notify.h"

#include "common/fd.h"
#include "common/time_util.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

static int listen_fds_put(struct listen_fds *fds, const char *name, int fd)
{
        if (streq(name, "ipc") && fds->ipc < 0) {
                fds->ipc = fd;
                return 0;
        }
        if (streq(name, "control") && fds->control < 0) {
                fds->control = fd;
                return 0;
        }
        /* A second one of those is no address for clients. */
        if (streq(name, "ipc") || streq(name, "control") || sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
                fd_close(fd);
                return streq(name, "http") ? -ENOTSOCK : 0;
        }
        int *http = realloc(fds->http, (fds->n_http + 1) * sizeof(*http));

        if (!http)
                return -ENOMEM;
        fds->http = http;
        fds->http[fds->n_http++] = fd;
        return 0;
}

int listen_fds_take(struct listen_fds *ret)
{
        struct listen_fds fds = { .ipc = -1, .control = -1 };
        char **names = NULL;
        int n = sd_listen_fds_with_names(true, &names), r = 0;

        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                if (r >= 0)
                        r = fd_nonblock(fd, true);
                if (r >= 0)
                        r = listen_fds_put(&fds, names[i], fd);
                else
                        fd_close(fd);
                free(names[i]);
        }
        free(names);
        if (n < 0)
                r = n;
        if (r < 0) {
                listen_fds_done(&fds);
                return r;
        }
        *ret = fds;
        return 0;
}

void listen_fds_done(struct listen_fds *fds)
{
        for (size_t i = 0; i < fds->n_http; i++)
                fd_close(fds->http[i]);
        free(fds->http);
        fd_close(fds->ipc);
        fd_close(fds->control);
        *fds = (struct listen_fds) { .ipc = -1, .control = -1 };
}

static int set_number(const char *name, unsigned long value)
{
        char text[24];

        (void) snprintf(text, sizeof(text), "%lu", value);
        return setenv(name, text, 1) < 0 ? -errno : 0;
}

static int set_variables(const struct handover *h, size_t n_fds)
{
        static const char each[] = "http:", others[] = "ipc:control";
        _cleanup_free_ char *names = malloc(h->n_http * strlen(each) + sizeof(others));

        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < h->n_http; i++)
                memcpy(names + i * strlen(each), each, strlen(each));
        memcpy(names + h->n_http * strlen(each), others, sizeof(others));
        int r = setenv("LISTEN_FDNAMES", names, 1) < 0 ? -errno : set_number("LISTEN_FDS", n_fds);

        return r < 0 ? r : set_number("LISTEN_PID", (unsigned long) getpid());
}

int notify_hand_over(const struct handover *h)
{
        const size_t n = h->n_http + 2;
        _cleanup_free_ int *high = calloc(n, sizeof(*high));
        int r = high ? set_variables(h, n) : -ENOMEM;

        /* Out of the way first, since the numbers overlap; no dup2 then hits one that is still wanted. */
        for (size_t i = 0; r >= 0 && i < n; i++) {
                int fd = i < h->n_http ? h->http[i] : i == h->n_http ? h->ipc : h->control;

                high[i] = fcntl(fd, F_DUPFD_CLOEXEC, SD_LISTEN_FDS_START + (int) n);
                r = high[i] < 0 ? -errno : 0;
        }
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (dup2(high[i], SD_LISTEN_FDS_START + (int) i) < 0)
                        return -errno;
        return 0;
}

void notify_ready(const char *status)
{
        (void) sd_notifyf(false, "READY=1\nSTATUS=%s", status);
}

void notify_status(const char *format, ...)
{
        char status[256];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(status, sizeof(status), format, ap);
        va_end(ap);
        (void) sd_notifyf(false, "STATUS=%s", status);
}

void notify_stopping(void)
{
        (void) sd_notify(false, "STOPPING=1");
}

void notify_extend_timeout(usec_t usec)
{
        (void) sd_notifyf(false, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long) usec);
}

void notify_reloading(void)
{
        (void) sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long) now_usec());
}

int notify_store_fd(const char *name, int fd)
{
        char state[128];

        (void) snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
        int r = sd_pid_notify_with_fds(0, false, state, &fd, 1);

        return r < 0 ? r : 0;
}

void notify_forget_fd(const char *name)
{
        (void) sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

usec_t notify_watchdog_usec(void)
{
        uint64_t usec = 0;

        return sd_watchdog_enabled(false, &usec) > 0 ? usec : 0;
}

void notify_watchdog(void)
{
        (void) sd_notify(false, "WATCHDOG=1");
}
