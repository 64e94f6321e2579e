/* What the files of a relay share: relay.c (its life, the request), relay_redirect.c and relay_answer.c
 * (what the backend says). */
#pragma once

#include "worker/relay.h"

struct relay {
        TAILQ_ENTRY(relay) entry;
        struct http_endpoint *endpoint;
        struct exchange *exchange;
        struct http_conn *backend;    /* NULL until the backend listens */
        struct evbuffer *retained;    /* the body so far: until the backend listens, and while is_retaining, to ask
                                       * again and to know the id */
        bool is_retaining;
        bool is_request_complete;
        bool is_mcp;                  /* the MCP endpoint, not another path of the backend */
        bool is_refused;              /* with refusal, when the request is here and its id is known */
        enum reason refusal;
        bool is_endless;              /* the GET stream: no deadline */
        bool was_redirected;
        bool asked_with_slash;        /* the spelling of mcp_path that was sent: another relay may have changed it since */
        bool is_answering;            /* the response head went to the client */
        bool is_event_stream;
        bool is_broken;               /* the backend closed early; broken_by: why, 0 or a negative errno */
        int broken_by;
        unsigned newlines;            /* at the end of the event stream so far: 2 is an event boundary */
        struct event *deadline;
};

extern const struct http_conn_ops relay_answer_ops;

/* Ends the connection to the backend. The exchange is the caller's then. */
void relay_free(struct relay *relay);

/* Connects and sends what there is of the request; the rest follows as it comes. */
int relay_send(struct relay *relay);

/* The backend broke the exchange off. If it is dying, its exit comes a moment after its sockets closed and
 * tells every relay more than this one could: that is waited for. */
void relay_break(struct relay *relay, int error);

/* relay_fail by reason alone; detail may be NULL. */
void relay_fail_reason(struct relay *relay, enum reason reason, const char *detail);

/* A backend may spell its endpoint with the other slash, "/mcp" → "/mcp/" or the reverse, and send everyone
 * there. True when this answer is such a redirect and was followed: it never reaches the client, which would
 * be sent away from its session. */
bool relay_redirect(struct relay *relay, const struct http_head *head);

/* How mcp_path is spelt now. */
bool relay_path_has_slash(const char *path);
