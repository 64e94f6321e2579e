#include "router/answer.h"

#include "router/cors.h"

#define RETRY_AFTER_SEC 1 /* where a failure does not know better */

void answer_failure(struct http_conn *conn, enum answer_form form, unsigned status, const struct failure *f,
                    struct json_slice id, const char *allow, struct http_slice origin)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r = form == ANSWER_JSONRPC ? failure_to_jsonrpc(f, id.size ? id.data : NULL, id.size, &text, &size)
                                       : failure_to_plain(f, &text, &size);

        bool is_in_band = form == ANSWER_JSONRPC && id.size && r == 0;

        if (status == 0)
                status = is_in_band ? reason_request_status(f->reason) : reason_http_status(f->reason);
        http_conn_start_response(conn, status);
        http_conn_add_header(conn, "Content-Type", "application/json");
        cors_add_headers(conn, origin);
        if (allow)
                http_conn_add_header(conn, "Allow", allow);
        if (status == 503)
                http_conn_add_headerf(conn, "Retry-After", "%u", f->retry_after_sec ?: RETRY_AFTER_SEC);
        http_conn_begin_body(conn, HTTP_FRAMING_LENGTH, size);
        http_conn_send(conn, text, size);
        http_conn_end(conn);
}

bool answer_http_error(struct http_conn *conn, unsigned status, const char *why, struct http_slice origin)
{
        static const struct {
                unsigned status;
                enum reason reason;
                const char *limit; /* the key of the configuration that sets it */
        } reasons[] = {
                { 400, REASON_bad_request, NULL },
                { 413, REASON_body_too_large, "body_max" },
                { 431, REASON_head_too_large, "head_max" },
        };

        for (size_t i = 0; i < ELEMENTSOF(reasons); i++) {
                if (reasons[i].status != status)
                        continue;
                struct failure f = { .reason = reasons[i].reason, .detail = reasons[i].limit ?: why };

                answer_failure(conn, ANSWER_JSONRPC, 0, &f, (struct json_slice) {}, NULL, origin);
                return true;
        }
        return false;
}
