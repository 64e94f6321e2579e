/* Reloads (SIGHUP, Reload): the configuration is read again and, where the supervisor's file was replaced, the
 * new one takes over. One at a time, in order; each has its answer before anything of a take-over happens. */
#pragma once

#include "supervisor/config_report.h"

#include <sys/queue.h>

struct reload;
struct reload_request;
struct supervisor;

struct reload_result {
        int error;             /* 0: in force. Else nothing changed; -ESHUTDOWN: everything is being stopped */
        const char *why;       /* of an error that the report does not explain, or NULL */
        const struct config_report *report; /* of the configuration: mistakes, or notes */
        bool is_restarting;    /* the new supervisor is about to take over, and with it the configuration */
};

typedef void (*reload_done_fn)(const struct reload_result *result, void *userdata);

int reload_new(struct supervisor *supervisor, struct reload **ret);
struct reload *reload_free(struct reload *reload);
DEFINE_CLEANUP(struct reload, reload_free)

/* on_done is called once: at once (the request was never handed out: *ret is NULL), or later from the loop. */
int reload_begin(struct reload *reload, reload_done_fn on_done, void *userdata, struct reload_request **ret);

/* A router has read what it was sent (routers_are_heard says whether all have). */
void reload_on_router_heard(struct reload *reload);

/* Whoever asked does not want to know any more; what was asked for goes on. */
void reload_forget(struct reload_request *request);
