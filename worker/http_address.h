/* Where an HTTP backend listens: a held TCP port of loopback, or a Unix socket in the session's
 * private folder; and the wait until it does. */
#pragma once

#include "worker/worker.h"

struct http_address;

struct http_address_ops {
        void (*on_listening)(void *userdata);
        /* Somebody else listens where the backend was to: detail says where. */
        void (*on_taken)(const char *detail, void *userdata);
};

/* Allocates it and fills worker->values[TEMPLATE_PORT] or [TEMPLATE_SOCKET]. */
int http_address_new(struct worker *worker, const struct http_address_ops *ops, void *userdata,
                     struct http_address **ret);
struct http_address *http_address_free(struct http_address *address);

/* Looks until the backend, pid or one of its descendants, listens: every 10 ms at first, every 50 ms
 * later. One of the callbacks follows, at most once. */
void http_address_await(struct http_address *address, pid_t pid);
void http_address_stop(struct http_address *address);

/* Lets go of the held port, for a backend that does not set SO_REUSEADDR and found it in use. False when
 * nothing is held (any more). */
bool http_address_release(struct http_address *address);

/* A non-blocking connect. Returns fd. */
int http_address_connect(struct http_address *address);

/* The value of Host for requests to it. */
const char *http_address_host(const struct http_address *address);
