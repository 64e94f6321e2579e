/* Who may ask at all: checks of Host and Origin, against DNS rebinding and foreign web pages (MCP,
 * Transports: Security Warning). Loopback names always pass, others when the configuration lists
 * them. */
#pragma once

#include "common/http/http.h"
#include "common/reason.h"

/* Zero-initialised allows loopback only. */
struct guard {
        char **allowed;  /* "name", "name:port" or an Origin "scheme://name[:port]" */
        size_t n_allowed;
};

/* Replaces the list by a JSON array of strings; an empty text is an empty array. -EBADMSG: not that. */
int guard_set(struct guard *guard, const char *json, size_t size);
void guard_done(struct guard *guard);

/* 0 with the Origin of the page that asks (size 0: none asks), or -EACCES and which reason to answer with. */
int guard_check(const struct guard *guard, const struct http_head *head, struct http_slice *ret_origin,
                enum reason *ret_reason);

/* The parts, for tests. A listed name without a port covers every port. */
bool guard_host_ok(const struct guard *guard, struct http_slice host);
bool guard_origin_ok(const struct guard *guard, struct http_slice origin);
