#include "router/resolver.h"

int resolver_ask(struct asks *asks, struct asker *asker, const struct resolve_request *request)
{
        struct ipc_resolve body;

        memset(&body, 0, sizeof(body)); /* padding too: equal questions are found by their bytes */
        if (STR_COPY(body.server, request->server) < 0 || STR_COPY(body.principal, request->principal) < 0 ||
            STR_COPY(body.key, request->key) < 0 || STR_COPY(body.stale_id, request->stale_id ?: "") < 0)
                return -ENAMETOOLONG;
        body.kind = request->kind;
        body.may_create = request->may_create;
        body.is_modern = request->is_modern;
        body.wake = (uint8_t) request->wake;
        if (request->transport.size > 0)
                memcpy(body.transport, request->transport.data, MIN_OF(request->transport.size, sizeof(body.transport) - 1));
        body.has_seed = request->has_seed;
        body.seed = request->seed;
        return ask(asks, asker, IPC_RESOLVE, &body, sizeof(body), request->config, request->config_size, ASK_SHARED);
}

void resolver_read(const struct ipc_message *answer, bool is_first, struct resolve_answer *ret)
{
        const struct ipc_resolved *resolved = answer ? answer->body : NULL;

        *ret = (struct resolve_answer) { .code = RESOLVE_FAILED };
        if (!resolved)
                return;
        if (resolved->code == RESOLVE_OK) {
                if (!IPC_STRING_OK(resolved->session.id) || !resolved->session.id[0] ||
                    strchr(resolved->session.id, '/'))
                        return;
                ret->code = RESOLVE_OK;
                ret->is_created = resolved->is_created && is_first;
                ret->session_id = resolved->session.id;
                return;
        }
        if (resolved->code == RESOLVE_UNKNOWN || resolved->code == RESOLVE_LEGACY ||
            resolved->code == RESOLVE_DORMANT)
                ret->code = resolved->code;
        if (answer->blob_size && failure_from_json(answer->blob, answer->blob_size, &ret->failure) < 0)
                ret->failure = NULL;
}
