#include "worker/worker.h"

#include "worker/exchange.h"

/* No HTTP backend can be carried yet: such a session fails at its start, and says so. */

static int prepare(_unused_ struct worker *worker)
{
        return -EOPNOTSUPP;
}

static void on_request(_unused_ struct worker *worker, struct exchange *exchange)
{
        exchange_refuse(exchange, REASON_start_failed, "HTTP backends are not supported", NULL, 0);
}

static void on_bytes(_unused_ struct worker *worker, _unused_ struct exchange *exchange, _unused_ const void *data,
                     _unused_ size_t size)
{
}

static void on_exchange(_unused_ struct worker *worker, _unused_ struct exchange *exchange)
{
}

static int on_spawned(_unused_ struct worker *worker)
{
        return 0;
}

static void fail_all(_unused_ struct worker *worker, _unused_ const struct failure *failure)
{
}

static void nothing(_unused_ struct worker *worker)
{
}

const struct endpoint_ops endpoint_http = {
        .name = "http",
        .prepare = prepare,
        .on_spawned = on_spawned,
        .on_request = on_request,
        .on_request_body = on_bytes,
        .on_request_end = on_exchange,
        .on_client_drained = on_exchange,
        .on_client_gone = on_exchange,
        .on_child_exited = nothing,
        .fail_all = fail_all,
        .close_input = nothing,
        .done = nothing,
};
