#include "supervisor/child.h"

#include "supervisor/supervisor.h"

#include <signal.h>
#include <sys/wait.h>

struct children {
        LIST_HEAD(, child) list;
        struct event *sigchld;
        void (*on_other)(pid_t pid, void *userdata);
        void *userdata;
};

static struct child *children_find(const struct children *c, pid_t pid)
{
        struct child *child;

        LIST_FOREACH(child, &c->list, entry)
                if (child->pid == pid)
                        return child;
        return NULL;
}

static void on_sigchld(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct children *c = userdata;

        for (;;) {
                siginfo_t info = { 0 };

                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                        return;
                struct child *child = children_find(c, info.si_pid);

                if (child) {
                        children_remove(child);
                        child->on_exit(child, info.si_code, info.si_status);
                } else if (c->on_other)
                        c->on_other(info.si_pid, c->userdata);
        }
}

int children_new(struct event_base *base, void (*on_other)(pid_t pid, void *userdata), void *userdata,
                 struct children **ret)
{
        _cleanup_(children_freep) struct children *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        LIST_INIT(&c->list);
        c->on_other = on_other;
        c->userdata = userdata;
        c->sigchld = evsignal_new(base, SIGCHLD, on_sigchld, c);
        if (!c->sigchld || event_priority_set(c->sigchld, LOOP_LATE) < 0 || event_add(c->sigchld, NULL) < 0)
                return -ENOMEM;
        /* Children that were this process's before it became us may have ended meanwhile. */
        event_active(c->sigchld, EV_SIGNAL, 1);
        *ret = TAKE_PTR(c);
        return 0;
}

struct children *children_free(struct children *c)
{
        if (!c)
                return NULL;
        if (c->sigchld)
                event_free(c->sigchld);
        free(c);
        return NULL;
}

void children_add(struct children *c, struct child *child, pid_t pid,
                  void (*on_exit)(struct child *child, int code, int status))
{
        child->pid = pid;
        child->on_exit = on_exit;
        LIST_INSERT_HEAD(&c->list, child, entry);
}

void children_remove(struct child *child)
{
        if (child->pid == 0)
                return;
        LIST_REMOVE(child, entry);
        child->pid = 0;
}

bool children_know(const struct children *c, pid_t pid)
{
        return children_find(c, pid) != NULL;
}
