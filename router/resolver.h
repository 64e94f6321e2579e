/* key → session, by asking the supervisor. The one interface behind which another host's sessions
 * could be found one day. */
#pragma once

#include "common/http/http.h"
#include "common/reason.h"
#include "router/ask.h"

/* What is asked. Strings are borrowed for the call. */
struct resolve_request {
        const char *server, *principal, *key;
        enum key_kind kind;
        bool may_create;
        bool is_modern;          /* stateless: the definition's era is found out first */
        bool has_seed;
        int64_t seed;
        const char *stale_id;    /* a session not to be named again; NULL */
        enum resolve_wake wake;  /* what becomes of a dormant session */
        struct http_slice transport; /* with WAKE_LEAVE: the Mcp-Session-Id that leaves; shorter than a key may be */
        const char *config;      /* JSON of the client's config, for a session created by this; NULL */
        size_t config_size;
};

/* Asks. asker->on_answer gets a RESOLVED (resolver_read reads it) or NULL. Concurrent equal requests
 * share one RESOLVE. */
int resolver_ask(struct asks *asks, struct asker *asker, const struct resolve_request *request);

struct resolve_answer {
        enum resolve_code code;
        bool is_created;
        const char *session_id;          /* inside the message; when OK */
        struct failure_owned *failure;   /* the caller's; NULL when the supervisor gave none */
};

/* Reads an answer; answer NULL (no answer came) reads as RESOLVE_FAILED without a failure. */
void resolver_read(const struct ipc_message *answer, bool is_first, struct resolve_answer *ret);
