/* One HTTP request, waited for: common/http with a loop of its own. */
#pragma once

#include "common/http/http.h"

struct fetch_header {
        const char *name, *value; /* value NULL: left out */
};

struct fetch_request {
        const char *address; /* numeric */
        uint16_t port;
        const char *method, *target;
        const struct fetch_header *headers;
        size_t n_headers;
        const char *body;    /* NULL: none */
        size_t body_size;
        usec_t timeout_usec; /* for everything together */
};

struct fetch_handlers {
        void (*on_head)(const struct http_head *head, void *userdata);
        /* True: enough, the connection is closed. */
        bool (*on_body)(const char *data, size_t size, void *userdata);
};

/* Returns when the answer is complete or on_body had enough. -ECONNREFUSED, -ETIMEDOUT, -EPROTO (what
 * came is not HTTP), other negative errno. */
int fetch_run(const struct fetch_request *request, const struct fetch_handlers *handlers, void *userdata);
