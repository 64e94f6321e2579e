#include "router/cors.h"

#define MAX_AGE "600" /* seconds for which a browser need not ask again */
#define ALLOWED_BYTES_MAX 1024

static const char any_method[] = "GET, HEAD, POST, PUT, PATCH, DELETE";
static const char exposed[] = "Mcp-Session-Id, Mcp-Protocol-Version, Envmux-Session, Envmux-Generation, Envmux-Attach, "
                              "WWW-Authenticate, Retry-After, Allow";

/* Beside mcp-* (MCP has headers for the parameters of tools) and the session header. */
static const char *const allowed[] = {
        "accept", "authorization", "baggage", "cache-control", "content-type", "last-event-id", "traceparent", "tracestate",
};

bool cors_is_preflight(const struct http_head *head)
{
        struct http_slice method;

        return head->method == HTTP_OPTIONS && http_head_get(head, "Access-Control-Request-Method", &method) == 0;
}

static bool has_prefix(struct http_slice name, const char *prefix)
{
        size_t size = strlen(prefix);

        return name.size >= size && strncasecmp(name.data, prefix, size) == 0;
}

static bool is_allowed(struct http_slice name, const char *session_header)
{
        for (size_t i = 0; i < ELEMENTSOF(allowed); i++)
                if (http_slice_is_nocase(name, allowed[i]))
                        return true;
        return has_prefix(name, "mcp-") || http_slice_is_nocase(name, session_header);
}

void cors_allowed_headers(struct http_slice asked, const char *session_header, char *dst, size_t dst_size)
{
        struct http_slice name;
        size_t used = 0;

        while (http_list_next(&asked, &name)) {
                const char *comma = used > 0 ? ", " : "";

                if (!is_allowed(name, session_header) || used + strlen(comma) + name.size >= dst_size)
                        continue;
                memcpy(dst + used, comma, strlen(comma));
                used += strlen(comma);
                memcpy(dst + used, name.data, name.size);
                used += name.size;
        }
        dst[used] = '\0';
}

static void add_origin(struct http_conn *conn, struct http_slice origin)
{
        static const char name[] = "Access-Control-Allow-Origin";

        http_conn_add_header_slice(conn, (struct http_slice) { name, sizeof(name) - 1 }, origin);
}

/* A page that may ask at all may ask from a public address too: its Origin is loopback, or was listed. */
static void add_private_network(struct http_conn *conn, const struct http_head *head)
{
        struct http_slice value;

        if (http_head_get(head, "Access-Control-Request-Private-Network", &value) == 0 && http_slice_is(value, "true"))
                http_conn_add_header(conn, "Access-Control-Allow-Private-Network", "true");
}

void cors_answer_preflight(struct http_conn *conn, const struct http_head *head, struct http_slice origin,
                           const char *methods, const char *session_header)
{
        char headers[ALLOWED_BYTES_MAX];
        struct http_slice asked;

        http_conn_start_response(conn, 204);
        add_origin(conn, origin);
        http_conn_add_header(conn, "Access-Control-Allow-Methods", methods ?: any_method);
        if (http_head_get(head, "Access-Control-Request-Headers", &asked) == 0) {
                cors_allowed_headers(asked, session_header, headers, sizeof(headers));
                http_conn_add_header(conn, "Access-Control-Allow-Headers", headers);
        }
        add_private_network(conn, head);
        http_conn_add_header(conn, "Access-Control-Max-Age", MAX_AGE);
        http_conn_add_header(conn, "Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Private-Network");
        http_conn_begin_body(conn, HTTP_FRAMING_NONE, 0);
        http_conn_end(conn);
}

void cors_add_headers(struct http_conn *conn, struct http_slice origin)
{
        if (origin.size == 0)
                return;
        add_origin(conn, origin);
        http_conn_add_header(conn, "Access-Control-Expose-Headers", exposed);
        http_conn_add_header(conn, "Vary", "Origin");
}

bool cors_is_ours(const struct http_header *header)
{
        return has_prefix(header->name, "Access-Control-");
}
