#include "worker/call.h"

#include "common/jsonrpc.h"
#include "worker/listen.h"

#include <stdio.h>

#define WIRE_NUMBER_FIRST 1000000u
#define WIRE_NUMBER_LAST 2000000000u /* fits what any backend may keep an id in */

struct calls {
        TAILQ_HEAD(, call) list; /* oldest first */
        unsigned n;
        uint64_t next_serial;
        unsigned next_wire_number;
        struct event *deadline;
        usec_t armed_usec;         /* what deadline is set for; USEC_INFINITY: not set */
        void (*on_deadline)(struct call *call, void *userdata);
        void *userdata;
};

/* Those that came before the backend was ready have more time than those after them. */
static struct call *call_most_urgent(const struct calls *calls)
{
        struct call *call, *urgent = NULL;

        TAILQ_FOREACH(call, &calls->list, entry)
                if (!urgent || call->deadline_usec < urgent->deadline_usec)
                        urgent = call;
        return urgent;
}

/* Nothing to do when the timer is set for an earlier moment: it looks again then. */
static void deadline_arm(struct calls *calls, usec_t deadline_usec)
{
        if (deadline_usec >= calls->armed_usec)
                return;
        struct timeval wait = usec_to_timeval(usec_until(deadline_usec));

        calls->armed_usec = deadline_usec;
        event_add(calls->deadline, &wait);
}

static void on_deadline(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct calls *calls = userdata;
        struct call *urgent;

        calls->armed_usec = USEC_INFINITY;
        while ((urgent = call_most_urgent(calls)) && usec_until(urgent->deadline_usec) == 0)
                calls->on_deadline(urgent, calls->userdata);
        if (urgent)
                deadline_arm(calls, urgent->deadline_usec);
}

int calls_new(struct event_base *base, void (*deadline_fn)(struct call *call, void *userdata), void *userdata,
              struct calls **ret)
{
        struct calls *calls = calloc(1, sizeof(*calls));

        if (!calls)
                return -ENOMEM;
        TAILQ_INIT(&calls->list);
        calls->next_wire_number = WIRE_NUMBER_FIRST;
        calls->armed_usec = USEC_INFINITY;
        calls->on_deadline = deadline_fn;
        calls->userdata = userdata;
        calls->deadline = evtimer_new(base, on_deadline, calls);
        if (!calls->deadline) {
                free(calls);
                return -ENOMEM;
        }
        *ret = calls;
        return 0;
}

static void call_free(struct call *call)
{
        free(call->id.data);
        free(call->wire_id.data);
        free(call->progress.data);
        free(call->wire_progress.data);
        free(call->handle);
        listen_free(call->listen);
        free(call);
}

struct calls *calls_free(struct calls *calls)
{
        struct call *call;

        if (!calls)
                return NULL;
        while ((call = TAILQ_FIRST(&calls->list))) {
                TAILQ_REMOVE(&calls->list, call, entry);
                call_free(call);
        }
        event_free(calls->deadline);
        free(calls);
        return NULL;
}

static int token_copy(struct token *to, const char *data, size_t size)
{
        to->data = malloc(MAX_OF(size, (size_t) 1));
        if (!to->data)
                return -ENOMEM;
        memcpy(to->data, data, size);
        to->size = size;
        return 0;
}

/* A token of the same JSON type that nothing in flight has. */
static int token_invent(struct calls *calls, struct json_slice like, struct token *ret,
                        struct call *(*find)(const struct calls *calls, struct json_slice token))
{
        const char *quote = json_slice_type(like) == JSON_STRING ? "\"" : "";
        const char *prefix = quote[0] ? "envmux-" : "";
        struct json_slice fresh;
        char text[40];

        do {
                if (calls->next_wire_number >= WIRE_NUMBER_LAST)
                        calls->next_wire_number = WIRE_NUMBER_FIRST;
                int n = snprintf(text, sizeof(text), "%s%s%u%s", quote, prefix, calls->next_wire_number++, quote);

                fresh = (struct json_slice) { .data = text, .size = (size_t) n };
        } while (find(calls, fresh));
        return token_copy(ret, fresh.data, fresh.size);
}

static int call_name(struct calls *calls, struct json_slice token, bool verbatim, struct token *ret_own,
                     struct token *ret_wire, struct call *(*find)(const struct calls *calls, struct json_slice token))
{
        if (token.size > TOKEN_BYTES_MAX)
                return -E2BIG;
        int r = token_copy(ret_own, token.data, token.size);

        if (r < 0)
                return r;
        if (verbatim && !find(calls, token))
                return token_copy(ret_wire, token.data, token.size);
        return token_invent(calls, token, ret_wire, find);
}

int calls_add(struct calls *calls, struct json_slice id, struct json_slice progress, bool verbatim,
              usec_t deadline_usec, struct call **ret)
{
        if (calls->n >= CALLS_MAX)
                return -ENOBUFS;
        struct call *call = calloc(1, sizeof(*call));

        if (!call)
                return -ENOMEM;
        int r = call_name(calls, id, verbatim, &call->id, &call->wire_id, calls_by_wire_id);

        if (r >= 0 && progress.size > 0)
                r = call_name(calls, progress, verbatim, &call->progress, &call->wire_progress, calls_by_wire_progress);
        if (r < 0) {
                call_free(call);
                return r;
        }
        call->serial = ++calls->next_serial;
        call->deadline_usec = deadline_usec;
        call->log_level = -1;
        TAILQ_INSERT_TAIL(&calls->list, call, entry);
        calls->n++;
        deadline_arm(calls, deadline_usec);
        *ret = call;
        return 0;
}

void calls_remove(struct calls *calls, struct call *call)
{
        TAILQ_REMOVE(&calls->list, call, entry);
        calls->n--;
        call_free(call);
}

struct call *calls_by_wire_id(const struct calls *calls, struct json_slice id)
{
        struct call *call;

        TAILQ_FOREACH(call, &calls->list, entry)
                if (jsonrpc_id_equal(token_slice(&call->wire_id), id))
                        return call;
        return NULL;
}

struct call *calls_by_wire_progress(const struct calls *calls, struct json_slice token)
{
        struct call *call;

        TAILQ_FOREACH(call, &calls->list, entry)
                if (call->wire_progress.size > 0 && jsonrpc_id_equal(token_slice(&call->wire_progress), token))
                        return call;
        return NULL;
}

struct call *calls_by_client_id(const struct calls *calls, const struct client *client, struct json_slice id,
                                bool is_awaited)
{
        struct call *call, *found = NULL;

        /* The id of a call that nobody waits for may have been used again: the newest is meant. */
        TAILQ_FOREACH(call, &calls->list, entry)
                if (call->client == client && (call->stream || !is_awaited) &&
                    jsonrpc_id_equal(token_slice(&call->id), id))
                        found = call;
        return found;
}

struct call *calls_by_serial(const struct calls *calls, uint64_t serial)
{
        struct call *call;

        TAILQ_FOREACH(call, &calls->list, entry)
                if (call->serial == serial)
                        return call;
        return NULL;
}

struct call *calls_next(const struct calls *calls, const struct call *after)
{
        return after ? TAILQ_NEXT(after, entry) : TAILQ_FIRST(&calls->list);
}

unsigned calls_count(const struct calls *calls)
{
        return calls->n;
}

bool token_equal(const struct token *a, const struct token *b)
{
        return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}
