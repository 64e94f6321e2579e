/* Log lines of a session's backend, asked of its worker (LOGS_GET). */
#pragma once

#include "supervisor/session.h"

struct log_request;

/* lines are LF-separated. is_last: nothing follows (also when the session ends first, then with no lines);
 * the request is to be freed by its owner, inside the callback if it likes. */
typedef void (*log_lines_fn)(const struct ipc_log_lines *info, const char *lines, size_t size, void *userdata);

/* Asks for the newest lines_max lines (0: all) and, with follow, every later one. -ENOTCONN: the
 * session has no worker to ask (session->last_lines holds what is known of an ended one). */
int log_request_new(struct session *session, unsigned lines_max, bool follow, log_lines_fn on_lines, void *userdata,
                    struct log_request **ret);
/* Cancels when still running. NULL is fine. */
struct log_request *log_request_free(struct log_request *request);
DEFINE_CLEANUP(struct log_request, log_request_free)

/* Of the IPC side: lines came (a handler, supervisor/peers.h); the worker's connection ended. */
struct ipc_message;
int log_requests_on_lines(struct peer *peer, const struct ipc_message *message);
void log_requests_end(struct peer *peer);
