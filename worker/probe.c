#include "worker/probe.h"

#include "common/log.h"
#include "common/mcp.h"
#include "worker/backend.h"
#include "worker/child.h"
#include "worker/exchange.h"
#include "worker/life.h"
#include "worker/link.h"
#include "worker/log_ring.h"
#include "worker/stdio_pipe.h"
#include "worker/worker.h"

#include <config.h>

#define SILENCE_USEC (2 * USEC_PER_SEC)  /* before initialize is sent as well */
#define GRACE_USEC USEC_PER_SEC          /* for the other answer, once initialize has its own */
#define PROBE_USEC (45 * USEC_PER_SEC)   /* for any answer: clients wait a minute for theirs */
#define BROKEN_USEC USEC_PER_SEC         /* the exit of a backend follows the end of its output at once, or never */

#define DISCOVER_ID "envmux-probe-discover"
#define INITIALIZE_ID "envmux-probe-initialize"
#define CLIENT_INFO "{\"name\":\"envmux\",\"version\":\"" PACKAGE_VERSION "\"}"
#define UNSUPPORTED_VERSION (-32022)

static const char discover[] =
        "{\"jsonrpc\":\"2.0\",\"id\":\"" DISCOVER_ID "\",\"method\":\"server/discover\",\"params\":{\"_meta\":{"
        "\"" MCP_META_PREFIX "protocolVersion\":\"" MCP_MODERN "\",\"" MCP_META_PREFIX "clientInfo\":" CLIENT_INFO ","
        "\"" MCP_META_PREFIX "clientCapabilities\":{}}}}";
static const char initialize[] =
        "{\"jsonrpc\":\"2.0\",\"id\":\"" INITIALIZE_ID "\",\"method\":\"initialize\",\"params\":{"
        "\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"clientInfo\":" CLIENT_INFO "}}";

/* In the order in which a timer may pass them. */
enum probe_stage {
        STAGE_DISCOVER,   /* server/discover was sent */
        STAGE_BOTH,       /* initialize too */
        STAGE_GRACE,      /* initialize was answered */
        STAGE_BROKEN,     /* the backend closed its output */
        STAGE_OVER,
};

struct probe {
        struct worker *worker;
        struct stdio_pipe *pipe; /* NULL until the backend was spawned */
        struct event *timer;     /* of the stage */
        enum probe_stage stage;
        usec_t silence_usec, total_usec;
};

/* ---- reading ---------------------------------------------------------------------------------- */

static bool has_modern(struct json_slice versions)
{
        struct json_slice name, value;
        size_t cursor = 0;

        if (json_slice_type(versions) != JSON_ARRAY)
                return false;
        while (json_next(versions, &cursor, &name, &value) > 0) {
                char text[16];
                ssize_t size = json_string_copy(value, text, sizeof(text));

                if (size > 0 && mcp_version_is_modern(text, (size_t) size))
                        return true;
        }
        return false;
}

/* A server of another modern revision is a modern one: its clients hear from itself which it speaks. */
static bool speaks_modern(const struct jsonrpc_message *message)
{
        struct json_slice versions, code;
        int64_t number;

        if (message->result.size > 0)
                return json_get(message->result, "supportedVersions", &versions) == 0 && has_modern(versions);
        return json_get(message->error, "code", &code) == 0 && json_integer(code, &number) == 0 &&
               number == UNSUPPORTED_VERSION &&
               json_get_path(message->error, &versions, "data", "supported", NULL) == 0 && has_modern(versions);
}

enum probe_answer probe_read(const char *line, size_t size)
{
        struct jsonrpc_message message;

        if (jsonrpc_parse(line, size, &message) < 0 || message.kind != JSONRPC_RESPONSE)
                return PROBE_NOTHING;
        if (json_string_is(message.id, DISCOVER_ID))
                return speaks_modern(&message) ? PROBE_MODERN : PROBE_REFUSED;
        return json_string_is(message.id, INITIALIZE_ID) ? PROBE_INITIALIZED : PROBE_NOTHING;
}

/* ---- the verdict ------------------------------------------------------------------------------ */

static void stage_set(struct probe *probe, enum probe_stage stage, usec_t usec)
{
        struct timeval wait = usec_to_timeval(usec);

        probe->stage = stage;
        event_del(probe->timer);
        if (stage != STAGE_OVER)
                event_add(probe->timer, &wait);
}

static void verdict(struct probe *probe, enum backend_era era, bool is_presumed, const char *why)
{
        const struct ipc_era told = { .era = era, .is_presumed = is_presumed };

        if (probe->stage == STAGE_OVER)
                return;
        stage_set(probe, STAGE_OVER, 0);
        log_debug("session %s: %s", probe->worker->spec->id, why);
        link_era(probe->worker->link, &told);
        life_end(probe->worker->life, GONE_STOPPED, REASON_session_ended, why);
}

static void on_line(char *line, size_t size, void *userdata)
{
        struct probe *probe = userdata;
        enum probe_answer answer = probe_read(line, size);
        struct jsonrpc_message message;

        if (answer != PROBE_NOTHING)
                life_ready(probe->worker->life);
        else if (jsonrpc_parse(line, size, &message) < 0)
                log_ring_add(probe->worker->logs, LOG_STDOUT, line, size);
        if (answer == PROBE_MODERN)
                verdict(probe, ERA_MODERN, false, "it answered server/discover");
        else if (answer == PROBE_REFUSED)
                verdict(probe, ERA_LEGACY, false, "it refused server/discover");
        else if (answer == PROBE_INITIALIZED && probe->stage == STAGE_BOTH)
                stage_set(probe, STAGE_GRACE, GRACE_USEC);
}

static void on_long_line(uint64_t size, _unused_ const struct id_scan *scan, void *userdata)
{
        struct probe *probe = userdata;

        log_ring_addf(probe->worker->logs, LOG_STDOUT, "[a line of %llu bytes was dropped]", (unsigned long long) size);
}

/* Its exit follows, or else it can no longer be talked to. */
static void on_broken(void *userdata)
{
        struct probe *probe = userdata;

        if (probe->stage < STAGE_BROKEN)
                stage_set(probe, STAGE_BROKEN, BROKEN_USEC);
}

static const struct stdio_pipe_ops pipe_ops = {
        .on_line = on_line,
        .on_long_line = on_long_line,
        .on_broken = on_broken,
};

static void on_timer(_unused_ evutil_socket_t fd, _unused_ short what, void *userdata)
{
        struct probe *probe = userdata;

        switch (probe->stage) {
        case STAGE_DISCOVER:
                stage_set(probe, STAGE_BOTH, probe->total_usec - probe->silence_usec);
                (void) stdio_pipe_write(probe->pipe, initialize, sizeof(initialize) - 1);
                break;
        case STAGE_BOTH:
                verdict(probe, ERA_LEGACY, true, "it answered neither server/discover nor initialize");
                break;
        case STAGE_GRACE:
                verdict(probe, ERA_LEGACY, false, "it answered initialize, but not server/discover");
                break;
        case STAGE_BROKEN:
                verdict(probe, ERA_LEGACY, true, "it closed its standard output or input");
                break;
        case STAGE_OVER:
                break;
        }
}

/* ---- the endpoint ----------------------------------------------------------------------------- */

static int init(struct worker *worker)
{
        struct probe *probe = calloc(1, sizeof(*probe));

        if (!probe)
                return -ENOMEM;
        probe->worker = worker;
        probe->total_usec = MIN_OF(worker->spec->start_usec / 2, (usec_t) PROBE_USEC);
        probe->silence_usec = MIN_OF(probe->total_usec / 2, (usec_t) SILENCE_USEC);
        worker->endpoint_data = probe; /* freed by done(), complete or not */
        probe->timer = evtimer_new(worker->base, on_timer, probe);
        return probe->timer ? 0 : -ENOMEM;
}

static int on_spawned(struct worker *worker)
{
        struct probe *probe = worker->endpoint_data;
        int r = stdio_pipe_new(worker->base, child_take_stdin(worker->child), child_take_stdout(worker->child),
                               worker->spec->message_bytes_max, &pipe_ops, probe, &probe->pipe);

        if (r < 0)
                return r;
        stage_set(probe, STAGE_DISCOVER, probe->silence_usec);
        return stdio_pipe_write(probe->pipe, discover, sizeof(discover) - 1);
}

/* No router knows this socket. */
static void on_request(_unused_ struct worker *worker, struct exchange *exchange)
{
        exchange_gone(exchange);
}

static void on_request_body(_unused_ struct worker *worker, _unused_ struct exchange *exchange,
                            _unused_ const void *data, _unused_ size_t size)
{
}

static void on_exchange(_unused_ struct worker *worker, _unused_ struct exchange *exchange)
{
}

static void on_child_exited(struct worker *worker)
{
        struct probe *probe = worker->endpoint_data;

        if (probe->pipe)
                stdio_pipe_drain(probe->pipe); /* its answer may be among the last words */
        if (!backend_exec_error(worker->backend))
                verdict(probe, ERA_LEGACY, true, "it exited when it was asked");
}

static void fail_all(struct worker *worker, _unused_ const struct failure *failure)
{
        stage_set(worker->endpoint_data, STAGE_OVER, 0);
}

static void close_input(struct worker *worker)
{
        struct probe *probe = worker->endpoint_data;

        if (probe->pipe)
                stdio_pipe_close_input(probe->pipe);
}

static void done(struct worker *worker)
{
        struct probe *probe = worker->endpoint_data;

        if (!probe)
                return;
        stdio_pipe_free(probe->pipe);
        if (probe->timer)
                event_free(probe->timer);
        free(probe);
}

const struct endpoint_ops endpoint_probe = {
        .name = "probe",
        .init = init,
        .on_spawned = on_spawned,
        .on_request = on_request,
        .on_request_body = on_request_body,
        .on_request_end = on_exchange,
        .on_client_drained = on_exchange,
        .on_client_gone = on_exchange,
        .on_child_exited = on_child_exited,
        .fail_all = fail_all,
        .close_input = close_input,
        .done = done,
};
