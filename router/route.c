#include "router/route.h"

static const struct {
        const char *allow; /* NULL: any method */
        unsigned methods;  /* mask of 1 << enum http_method */
} kinds[] = {
        [ROUTE_MCP] = { "GET, POST, DELETE", 1 << HTTP_GET | 1 << HTTP_POST | 1 << HTTP_DELETE },
        [ROUTE_SSE] = { "GET", 1 << HTTP_GET },
        [ROUTE_MESSAGE] = { "POST", 1 << HTTP_POST },
        [ROUTE_OTHER] = { NULL, ~0u },
        [ROUTE_SESSION] = { "GET, PUT, DELETE", 1 << HTTP_GET | 1 << HTTP_PUT | 1 << HTTP_DELETE },
        [ROUTE_RESET] = { "POST", 1 << HTTP_POST },
        [ROUTE_HEALTH] = { "GET, HEAD", 1 << HTTP_GET | 1 << HTTP_HEAD },
        [ROUTE_READY] = { "GET, HEAD", 1 << HTTP_GET | 1 << HTTP_HEAD },
};

const char *route_methods(enum route_kind kind)
{
        return kinds[kind].allow;
}

bool route_allows(enum route_kind kind, enum http_method method)
{
        return kinds[kind].methods & 1u << method;
}

static bool path_is_mcp(struct http_slice path)
{
        return http_slice_is(path, "/mcp") || http_slice_is(path, "/mcp/");
}

static bool path_is_sse(struct http_slice path)
{
        return http_slice_is(path, "/sse") || http_slice_is(path, "/sse/");
}

/* An HTTP backend may have a path of this name for something else. */
static bool path_is_message(const struct route *route, struct http_slice path)
{
        struct http_slice id;

        return http_slice_is(path, "/message") && (route->server->transport == TRANSPORT_STDIO ||
                                                   target_query_get(route->query, "sessionId", &id) == 0);
}

static const struct server *server_of_segment(const struct servers *servers, struct http_slice segment)
{
        char name[IPC_SERVER_SIZE];

        if (target_decode(segment, false, name, sizeof(name)) < 0)
                return NULL;
        return servers_find(servers, (struct http_slice) { name, strlen(name) });
}

/* Takes "/s/KEY" off path when it begins so. */
static bool path_take_key(struct http_slice *path, struct http_slice *ret_key)
{
        struct http_slice rest = *path, segment;

        if (!target_next_segment(&rest, &segment) || !http_slice_is(segment, "s") ||
            !target_next_segment(&rest, &segment) || segment.size == 0)
                return false;
        *ret_key = segment;
        *path = rest;
        return true;
}

/* What is left of the path after server and key. */
static int route_classify(struct route *route, struct http_slice path)
{
        if (path_is_mcp(path))
                route->kind = ROUTE_MCP;
        else if (path_is_sse(path))
                route->kind = ROUTE_SSE;
        else if (path_is_message(route, path))
                route->kind = ROUTE_MESSAGE;
        else if (route->key.data && path.size == 0)
                route->kind = ROUTE_SESSION;
        else if (route->key.data && http_slice_is(path, "/reset"))
                route->kind = ROUTE_RESET;
        else if (path.size > 0 && route->server->transport == TRANSPORT_HTTP)
                route->kind = ROUTE_OTHER;
        else
                return -ENOENT;
        return 0;
}

int route_find(const struct servers *servers, struct http_slice target, struct route *ret)
{
        struct route route = {};
        struct http_slice path, after, segment;

        target_split(target, &path, &route.query);
        if (http_slice_is(path, "/healthz") || http_slice_is(path, "/readyz")) {
                ret->kind = path.data[1] == 'h' ? ROUTE_HEALTH : ROUTE_READY;
                ret->server = NULL;
                return 0;
        }
        after = path;
        if (!target_next_segment(&after, &segment))
                return -ENOENT;
        if (!path_is_mcp(path) && !path_is_sse(path) && !http_slice_is(path, "/message") && !http_slice_is(segment, "s"))
                route.server = server_of_segment(servers, segment);
        if (route.server)
                path = after;
        else
                route.server = servers_default(servers);
        if (!route.server)
                return -ENOENT;
        path_take_key(&path, &route.key);

        int r = route_classify(&route, path);

        if (r < 0)
                return r;
        route.rest = (struct http_slice) { path.data, (size_t) (target.data + target.size - path.data) };
        *ret = route;
        return 0;
}

struct http_slice route_prefix(const struct route *route, struct http_slice target)
{
        return (struct http_slice) { target.data, (size_t) (route->rest.data - target.data) };
}
