#include "worker/modern.h"

#include "worker/exchange.h"
#include "worker/life.h"
#include "worker/modern_check.h"
#include "worker/modern_params.h"

#include <stdio.h>

#define PARKED_MAX 256u
#define PAGES_MAX 256u                /* of a longer list the rest is not known */
#define LIST_USEC (10 * USEC_PER_SEC) /* for all of it; a backend that takes longer is asked no more */
#define FRESH_USEC USEC_PER_SEC       /* after a list of this age a name that is not on it is asked for again */

/* A tools/call that waits for the list. */
struct parked {
        TAILQ_ENTRY(parked) entry;
        struct stream *stream;
        size_t size;
        char text[];
};

/* ---- the calls that wait ---- */

static struct parked *parked_take(struct stdio *stdio, struct parked *parked)
{
        TAILQ_REMOVE(&stdio->modern.parked, parked, entry);
        stdio->modern.n_parked--;
        stdio->body_bytes -= parked->size;
        return parked;
}

static void park(struct stdio *stdio, struct stream *stream, const struct jsonrpc_message *message)
{
        struct failure failure = { .reason = REASON_overloaded };
        struct parked *parked = stdio->modern.n_parked < PARKED_MAX ? malloc(sizeof(*parked) + message->whole.size) : NULL;

        if (!parked)
                return stream_fail(stream, &failure, message->id);
        memcpy(parked->text, message->whole.data, message->whole.size);
        parked->size = message->whole.size;
        parked->stream = stream;
        TAILQ_INSERT_TAIL(&stdio->modern.parked, parked, entry);
        stdio->modern.n_parked++;
        stdio->body_bytes += parked->size;
}

void modern_tools_forget_stream(struct stdio *stdio, const struct stream *stream)
{
        struct parked *parked;

        TAILQ_FOREACH(parked, &stdio->modern.parked, entry)
                if (parked->stream == stream) {
                        free(parked_take(stdio, parked));
                        return;
                }
}

void modern_tools_fail(struct stdio *stdio, const struct failure *failure)
{
        struct parked *parked;
        struct jsonrpc_message message;

        while ((parked = TAILQ_FIRST(&stdio->modern.parked))) {
                parked_take(stdio, parked);
                if (jsonrpc_parse(parked->text, parked->size, &message) >= 0)
                        stream_fail(parked->stream, failure, message.id);
                free(parked);
        }
}

void modern_tools_init(struct stdio *stdio)
{
        tool_list_init(&stdio->modern.tools);
        TAILQ_INIT(&stdio->modern.parked);
}

void modern_tools_done(struct stdio *stdio)
{
        while (!TAILQ_EMPTY(&stdio->modern.parked))
                free(parked_take(stdio, TAILQ_FIRST(&stdio->modern.parked)));
        tool_list_clear(&stdio->modern.tools);
}

/* ---- the check ---- */

/* Against the list at hand. 0, -EINVAL with the fault, -ENOENT: a tool that is not on it. */
static int check(const struct stdio *stdio, const struct http_head *head, const struct jsonrpc_message *message,
                 struct modern_fault *ret)
{
        struct json_slice name, schema, arguments = { 0 };
        char header[MODERN_PARAM_HEADER_SIZE];
        bool is_missing;

        if (json_get(message->params, "name", &name) < 0 || json_slice_type(name) != JSON_STRING)
                return 0;
        if (tool_list_find(&stdio->modern.tools, name, &schema) < 0)
                return -ENOENT;
        (void) json_get(message->params, "arguments", &arguments);
        if (schema.size == 0 || modern_params_check(head, schema, arguments, header, &is_missing) >= 0)
                return 0;
        ret->reason = REASON_header_mismatch;
        snprintf(ret->detail, sizeof(ret->detail), "%s is %s", header, is_missing ? "missing" : "not what the body says");
        return -EINVAL;
}

/* The list was just made: what it does not say cannot be held against the call. */
static void parked_go_on(struct stdio *stdio)
{
        struct modern_fault fault;
        struct parked *parked;
        struct jsonrpc_message message;

        while ((parked = TAILQ_FIRST(&stdio->modern.parked)) && !stdio->failure) {
                parked_take(stdio, parked);
                fault = (struct modern_fault) { 0 };
                if (jsonrpc_parse(parked->text, parked->size, &message) < 0)
                        assert(false); /* it was parsed before */
                else if (check(stdio, carrier_exchange(parked->stream->carrier)->head, &message, &fault) == -EINVAL)
                        modern_stream_refuse(parked->stream, &fault, message.id);
                else
                        modern_forward(stdio, parked->stream, &message);
                free(parked);
        }
}

/* ---- the list ---- */

/* cursor: a JSON string, size 0: the first page. */
static void ask(struct stdio *stdio, struct json_slice cursor)
{
        struct json_writer w = { .failed = false };
        _cleanup_free_ char *text = NULL;
        struct jsonrpc_message message;
        enum reason reason;
        size_t size;

        json_writer_text(&w, "{\"jsonrpc\":\"2.0\",\"id\":\"envmux\",\"method\":\"tools/list\",\"params\":{");
        if (cursor.size > 0) {
                json_writer_text(&w, "\"cursor\":");
                json_writer_raw(&w, cursor.data, cursor.size);
                json_writer_text(&w, ",");
        }
        json_writer_text(&w, "\"_meta\":" MODERN_OWN_META "}}");
        if (json_writer_finish(&w, &text, &size) < 0 || jsonrpc_parse(text, size, &message) < 0 ||
            forward_modern(stdio, NULL, &message, stdio->modern.list_until_usec, &stdio->modern.listing, &reason) < 0)
                stdio->modern.listing = NULL;
        else
                stdio->modern.listing->is_own = true;
}

/* A backend that does not tell its tools is not asked again, until it says that they changed. */
static void list_done(struct stdio *stdio, enum tools_state state)
{
        struct modern *modern = &stdio->modern;

        modern->listing = NULL;
        modern->tools_state = modern->is_outdated ? TOOLS_UNKNOWN : state;
        modern->listed_usec = now_usec();
        parked_go_on(stdio);
}

static void list_begin(struct stdio *stdio)
{
        if (stdio->modern.listing)
                return;
        tool_list_clear(&stdio->modern.tools);
        stdio->modern.is_outdated = false;
        stdio->modern.n_pages = 0;
        stdio->modern.list_until_usec = forward_deadline(stdio, LIST_USEC);
        ask(stdio, (struct json_slice) { 0 });
        if (!stdio->modern.listing)
                list_done(stdio, TOOLS_UNTOLD);
}

void modern_tools_response(struct stdio *stdio, const struct jsonrpc_message *message)
{
        struct json_slice tools, cursor;
        struct modern *modern = &stdio->modern;

        if (message->result.size == 0 || json_get(message->result, "tools", &tools) < 0)
                return list_done(stdio, TOOLS_UNTOLD);
        tool_list_add(&modern->tools, tools);
        modern->tools.is_cut |= ++modern->n_pages == PAGES_MAX;
        modern->listing = NULL;
        if (!modern->tools.is_cut && json_get(message->result, "nextCursor", &cursor) >= 0 &&
            json_slice_type(cursor) == JSON_STRING)
                ask(stdio, cursor);
        if (!modern->listing)
                list_done(stdio, TOOLS_TOLD);
}

void modern_tools_lost(struct stdio *stdio)
{
        list_done(stdio, TOOLS_UNTOLD);
}

void modern_tools_changed(struct stdio *stdio)
{
        stdio->modern.tools_state = TOOLS_UNKNOWN;
        stdio->modern.is_outdated = true;
}

static bool is_worth_asking(const struct modern *modern, int verdict)
{
        if (modern->tools_state == TOOLS_UNKNOWN)
                return true;
        if (modern->tools_state == TOOLS_UNTOLD)
                return false;
        return verdict == -EINVAL || (verdict == -ENOENT && !modern->tools.is_cut &&
                                      now_usec() - modern->listed_usec > FRESH_USEC);
}

void modern_tools_call(struct stdio *stdio, struct stream *stream, const struct jsonrpc_message *message)
{
        struct modern *modern = &stdio->modern;
        struct modern_fault fault = { 0 };
        int verdict = -ENOENT;

        if (modern->tools_state == TOOLS_TOLD && !modern->listing)
                verdict = check(stdio, carrier_exchange(stream->carrier)->head, message, &fault);
        if (!modern->listing && !is_worth_asking(modern, verdict))
                return modern_forward(stdio, stream, message);
        park(stdio, stream, message);
        list_begin(stdio);
}
