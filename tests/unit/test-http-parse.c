#include "common/http/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* What a connection would be told, as text; consecutive body pieces are one. */
struct transcript {
        char text[8192];
        size_t size;
        bool in_body;
};

static void _printf_(2, 3) say(struct transcript *t, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int n = vsnprintf(t->text + t->size, sizeof(t->text) - t->size, format, args);
        va_end(args);
        assert_in_range(n, 0, sizeof(t->text) - t->size - 1);
        t->size += (size_t) n;
}

static void say_head(struct transcript *t, const struct http_head *head, enum http_role role)
{
        if (role == HTTP_SERVER)
                say(t, "%.*s[%d] %.*s host=%.*s", (int) head->method_name.size, head->method_name.data, head->method,
                    (int) head->target.size, head->target.data, (int) head->host.size, head->host.data);
        else
                say(t, "%u", head->status);
        say(t, " 1.%u%s%s%s%s", head->minor_version, head->keep_alive ? " keep" : "", head->has_body ? " body" : "",
            head->is_chunked ? " chunked" : "", head->expect_continue ? " expects" : "");
        if (head->has_content_length)
                say(t, " length=%llu", (unsigned long long) head->content_length);
        say(t, "\n");
        for (size_t i = 0; i < head->n_headers; i++)
                say(t, "  %.*s=%.*s\n", (int) head->headers[i].name.size, head->headers[i].name.data,
                    (int) head->headers[i].value.size, head->headers[i].value.data);
}

static void say_event(struct transcript *t, struct http_parser *p, enum http_parse_event event, enum http_role role)
{
        if (event != HTTP_PARSE_BODY && event != HTTP_PARSE_MORE && t->in_body) {
                say(t, ">\n");
                t->in_body = false;
        }
        switch (event) {
        case HTTP_PARSE_HEAD:
                say_head(t, &p->head, role);
                break;
        case HTTP_PARSE_BODY:
                say(t, "%s%.*s", t->in_body ? "" : "<", (int) p->body.size, p->body.data);
                t->in_body = true;
                break;
        case HTTP_PARSE_END:
                say(t, "END\n");
                http_parser_next(p);
                break;
        case HTTP_PARSE_BROKEN:
                say(t, "BROKEN %u\n", p->status);
                break;
        case HTTP_PARSE_MORE:
                break;
        }
}

/* Feeds one piece from memory of exactly its size, so that a read beyond it is caught. */
static bool feed(struct transcript *t, struct http_parser *p, enum http_role role, const char *data, size_t size)
{
        _cleanup_free_ char *piece = malloc(size + 1);
        enum http_parse_event event;
        size_t at = 0, consumed;

        memcpy(piece + 1, data, size);
        do {
                event = http_parser_step(p, piece + 1 + at, size - at, &consumed);
                at += consumed;
                say_event(t, p, event, role);
        } while (event != HTTP_PARSE_MORE && event != HTTP_PARSE_BROKEN);
        return event == HTTP_PARSE_MORE;
}

struct example {
        enum http_role role;
        bool is_bodiless;
        const char *bytes;
        const char *transcript;
};

static struct http_limits limits;

/* Splits at `first` and `second`, or after every byte when both are 0. */
static void parse(const struct example *e, size_t size, size_t first, size_t second, struct transcript *t)
{
        struct http_parser p;
        bool is_whole = true;

        *t = (struct transcript) {};
        http_parser_init(&p, e->role, &limits);
        http_parser_set_bodiless(&p, e->is_bodiless);
        if (first == 0 && second == 0)
                for (size_t i = 0; i < size && is_whole; i++)
                        is_whole = feed(t, &p, e->role, e->bytes + i, 1);
        else
                is_whole = feed(t, &p, e->role, e->bytes, first) &&
                           feed(t, &p, e->role, e->bytes + first, second - first) &&
                           feed(t, &p, e->role, e->bytes + second, size - second);
        if (is_whole)
                say_event(t, &p, http_parser_eof(&p), e->role);
        http_parser_done(&p);
}

static void check_example(const struct example *e)
{
        size_t size = strlen(e->bytes);
        struct transcript t;

        parse(e, size, size, size, &t);
        if (!streq(t.text, e->transcript))
                print_error("for:\n%s\n", e->bytes);
        assert_string_equal(t.text, e->transcript);
        parse(e, size, 0, 0, &t);
        assert_string_equal(t.text, e->transcript);
        for (size_t first = 1; first < size; first++) {
                parse(e, size, first, size, &t);
                assert_string_equal(t.text, e->transcript);
                parse(e, size, first, MIN_OF(first + 1, size), &t);
                assert_string_equal(t.text, e->transcript);
        }
}

static const struct example requests[] = {
        { .bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
          .transcript = "GET[0] / host=a 1.1 keep\n  Host=a\nEND\n" },
        { .bytes = "\r\nGET /x?y=%20 HTTP/1.1\r\nhOST:a:80\r\nEmpty:\r\nBlank:  \t \r\nTabs:\t\ta b\t \r\n\r\n",
          .transcript = "GET[0] /x?y=%20 host=a:80 1.1 keep\n  hOST=a:80\n  Empty=\n  Blank=\n  Tabs=a b\nEND\n" },
        { .bytes = "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                   "PATCH /2 HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
          .transcript = "POST[2] /mcp host=a 1.1 keep body length=5\n  Host=a\n  Content-Length=5\n<hello>\nEND\n"
                        "PATCH[6] /2 host=b 1.1 keep length=0\n  Host=b\n  Content-Length=0\nEND\n" },
        { .bytes = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
                   "5\r\nhello\r\n00A;ext=1\r\n, worlds!!\r\n0\r\nTrailer: x\r\n\r\n"
                   "DELETE / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
          .transcript = "PUT[3] / host=a 1.1 keep body chunked\n  Host=a\n  Transfer-Encoding=Chunked\n"
                        "<hello, worlds!!>\nEND\n"
                        "DELETE[4] / host=[::1]:80 1.1\n  Host=[::1]:80\n  Connection=close\nEND\n" },
        { .bytes = "GET / HTTP/1.0\r\n\r\n", .transcript = "GET[0] / host= 1.0\nEND\n" },
        { .bytes = "HEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
          .transcript = "HEAD[1] / host= 1.0 keep\n  Connection=Keep-Alive\nEND\n" },
        { .bytes = "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: x, close , y\r\n\r\n",
          .transcript = "OPTIONS[5] * host=a 1.1\n  Host=a\n  Connection=x, close , y\nEND\n" },
        { .bytes = "GET http://A.example:80/p?q HTTP/1.1\r\nHost: a.example:80\r\n\r\n",
          .transcript = "GET[0] /p?q host=a.example:80 1.1 keep\n  Host=a.example:80\nEND\n" },
        { .bytes = "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", .transcript = "GET[0] / host=a 1.1 keep\n  Host=a\nEND\n" },
        { .bytes = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
          .transcript = "POST[2] / host=a 1.1 keep body expects length=1\n"
                        "  Host=a\n  Expect=100-continue\n  Content-Length=1\n<x>\nEND\n" },
        { .bytes = "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                   "Content-Length: 2\r\n\r\nok" "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
                   "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n",
          .transcript = "POST[2] / host=a 1.1 keep body length=2\n  Host=a\n  Connection=Upgrade, HTTP2-Settings\n"
                        "  Upgrade=h2c\n  Content-Length=2\n<ok>\nEND\n"
                        "GET[0] / host=a 1.1 keep\n  Host=a\n  Connection=upgrade\n  Upgrade=websocket\nEND\n"
                        "PROPFIND[7] / host=a 1.1 keep\n  Host=a\nEND\n" },
        { .bytes = "GET /half HTTP/1.1\r\nHost", .transcript = "BROKEN 400\n" },
};

static const struct example responses[] = {
        { HTTP_CLIENT, false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No Content\r\n\r\n",
          "200 1.1 keep body length=2\n  Content-Length=2\n<ok>\nEND\n204 1.1 keep\nEND\n" },
        { HTTP_CLIENT, false, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 202 \r\nContent-Length: 0\r\nA: b\r\n\r\n",
          "202 1.1 keep length=0\n  Content-Length=0\n  A=b\nEND\n" },
        { HTTP_CLIENT, false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
          "200 1.1 keep body chunked\n  Transfer-Encoding=chunked\n<ab>\nEND\n" },
        { HTTP_CLIENT, false, "HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil the end", "200 1.1 body\n  X=y\n<until the end>\nEND\n" },
        { HTTP_CLIENT, false, "HTTP/1.0 200 OK\r\n\r\n", "200 1.0 body\nEND\n" },
        { HTTP_CLIENT, false, "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
          "304 1.1 keep length=10\n  Content-Length=10\nEND\n" },
        { HTTP_CLIENT, true, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n",
          "200 1.1 keep length=10\n  Content-Length=10\nEND\n"
          "200 1.1 keep chunked\n  Transfer-Encoding=chunked\nEND\n" },
        { HTTP_CLIENT, true, "HTTP/1.1 200 OK\r\n\r\n", "200 1.1 keep\nEND\n" },
        { HTTP_CLIENT, false, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
          "200 1.1 keep body length=10\n  Content-Length=10\n<short>\nBROKEN 400\n" },
};

static void test_requests_under_every_split(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(requests); i++)
                check_example(&requests[i]);
}

static void test_responses_under_every_split(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(responses); i++)
                check_example(&responses[i]);
}

/* ---- refusals --------------------------------------------------------------------------------- */

#define H "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
        unsigned status;
        const char *bytes;
} refused_requests[] = {
        /* line ends, white space, bytes */
        { 400, "GET / HTTP/1.1\nHost: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\n\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n" },
        { 505, "GET / HTTP/1.1\rHost: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\n\rX" },
        { 400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n" },
        { 400, "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\n Content-Length: 3\r\n\r\nabc" },
        { 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" H "Content-Length : 1\r\n\r\nx" },
        { 400, "GET / HTTP/1.1\r\n" H "X Y: 1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" H ": 1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" H "no colon\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" H "X\x01: 1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" H "X\xc3\xa9: 1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" H "X: a\x01" "b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" H "X: a\x7f" "b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" H "X: longer than a word \x1f, then more\r\n\r\n" },
        /* start line */
        { 400, "GET  / HTTP/1.1\r\n" H "\r\n" },
        { 505, "GET /  HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET /\tHTTP/1.1\r\n" H "\r\n" },
        { 505, "GET / HTTP/1.1 \r\n" H "\r\n" },
        { 400, "GET /\r\n" H "\r\n" },
        { 400, "GET / \r\n" H "\r\n" },
        { 400, "GET a HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET * HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET /#f HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET /\x01 HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET http://b/ HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET https://a/ HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET http:///x HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET http://u@a/ HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET http://a?q HTTP/1.1\r\n" H "\r\n" },
        { 400, "GET / HTTP\r\n" H "\r\n" },
        { 400, "GET / http/1.1\r\n" H "\r\n" },
        { 505, "OPTIONS rtsp://a/ RTSP/1.0\r\n" H "\r\n" },
        { 505, "OPTIONS / RTSP/1.0\r\n" H "\r\n" },
        { 505, "GET / HTTP/1.2\r\n" H "\r\n" },
        { 505, "GET / HTTP/2.0\r\n" H "\r\n" },
        { 505, "GET / HTTP/0.9\r\n" H "\r\n" },
        { 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
        { 501, "BREW / HTTP/1.1\r\n" H "\r\n" },
        { 501, "get / HTTP/1.1\r\n" H "\r\n" },
        { 501, "CONNECT a:80 HTTP/1.1\r\n" H "\r\n" },
        { 400, "\x16\x03\x01\x02\x01\x01" },
        /* Host */
        { 400, "GET / HTTP/1.1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n" },
        { 400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n" },
        /* framing */
        { 400, POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx" },
        { 400, POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx" },
        { 400, POST "Content-Length: 1, 1\r\n\r\nx" },
        { 400, POST "Content-Length: +1\r\n\r\nx" },
        { 400, POST "Content-Length: -1\r\n\r\nx" },
        { 400, POST "Content-Length: 0x1\r\n\r\nx" },
        { 400, POST "Content-Length: 1 1\r\n\r\nx" },
        { 400, POST "Content-Length: 1a\r\n\r\nx" },
        { 400, POST "Content-Length:\r\n\r\nx" },
        { 400, POST "Content-Length: 99999999999999999999\r\n\r\nx" },
        { 400, POST "Content-Length: 9999999999999999999\r\n\r\nx" },
        { 400, POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
        { 400, POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n" },
        { 400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
        { 400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" },
        { 501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" },
        { 400, POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" },
        { 400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" },
        { 501, POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" },
        { 501, POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" },
        { 501, POST "Transfer-Encoding: identity\r\n\r\n" },
        { 501, POST "Transfer-Encoding:\r\n\r\n" },
        { 400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
        /* chunks */
        { 400, CHUNKED "x\r\n" },
        { 400, CHUNKED "\r\n" },
        { 400, CHUNKED "-1\r\n" },
        { 400, CHUNKED "+1\r\n" },
        { 400, CHUNKED "0x1\r\na\r\n" },
        { 400, CHUNKED " 1\r\na\r\n" },
        { 400, CHUNKED "1\na\r\n0\r\n\r\n" },
        { 400, CHUNKED "1\ra\r\n0\r\n\r\n" },
        { 400, CHUNKED "1;x\na\r\n0\r\n\r\n" },
        { 400, CHUNKED "1;x\ra\r\n0\r\n\r\n" },
        { 400, CHUNKED "1\r\nab\r\n0\r\n\r\n" },
        { 400, CHUNKED "1\r\na\n0\r\n\r\n" },
        { 400, CHUNKED "1\r\na0\r\n\r\n" },
        { 400, CHUNKED "10000000000000000\r\na" },
        { 400, CHUNKED "fffffffffffffffff\r\na" },
        { 400, CHUNKED "1\r\na\r\n0\n\r\n" },
        { 400, CHUNKED "1\r\na\r\n0\r\n\n" },
        { 400, CHUNKED "1\r\na\r\n0\r\nX y\r\n\r\n" },
        { 400, CHUNKED "1\r\na\r\n0\r\nX: y\n\r\n" },
        { 400, CHUNKED "1\r\na\r\n0\r\nX: y\rZ: w\r\n\r\n" },
};

static const char *const refused_responses[] = {
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "RTSP/1.0 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
};

/* True when the last thing said is the refusal. */
static bool is_refused(const struct transcript *t, unsigned status)
{
        char wanted[32];
        int n = snprintf(wanted, sizeof(wanted), "BROKEN %u\n", status);

        return t->size >= (size_t) n && streq(t->text + t->size - n, wanted);
}

static unsigned n_missed;

static void check_refused(enum http_role role, unsigned status, const char *bytes)
{
        struct example e = { .role = role, .bytes = bytes };
        size_t size = strlen(bytes);
        struct transcript t;

        for (size_t first = 0; first <= size; first++) {
                parse(&e, size, first, size, &t);
                if (status > 0 ? is_refused(&t, status) : strstr(t.text, "BROKEN") != NULL)
                        continue;
                print_error("split at %zu, not refused with %u:\n%s\n%s\n", first, status, bytes, t.text);
                n_missed++;
                return;
        }
}

static void test_malformed_requests_are_refused(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(refused_requests); i++)
                check_refused(HTTP_SERVER, refused_requests[i].status, refused_requests[i].bytes);
        assert_int_equal(n_missed, 0);
}

static void test_malformed_responses_are_refused(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(refused_responses); i++)
                check_refused(HTTP_CLIENT, 0, refused_responses[i]);
        assert_int_equal(n_missed, 0);
}

static void test_nul_bytes_are_refused(void **state)
{
        static const char bytes[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
        struct example e = { .bytes = bytes };
        struct transcript t;

        for (size_t first = 1; first < sizeof(bytes); first++) {
                parse(&e, sizeof(bytes) - 1, first, sizeof(bytes) - 1, &t);
                assert_string_equal(t.text, "BROKEN 400\n");
        }
}

/* ---- limits ----------------------------------------------------------------------------------- */

static int restore_limits(void **state)
{
        limits = http_limits_default();
        return 0;
}

static void expect(enum http_role role, const char *bytes, const char *transcript)
{
        struct example e = { .role = role, .bytes = bytes };
        size_t size = strlen(bytes);
        struct transcript t;

        parse(&e, size, size, size, &t);
        assert_string_equal(t.text, transcript);
        parse(&e, size, 0, 0, &t);
        assert_string_equal(t.text, transcript);
}

static void test_head_limit_is_exact(void **state)
{
        static const char bytes[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

        limits.head_bytes_max = sizeof(bytes) - 1;
        expect(HTTP_SERVER, bytes, "GET[0] / host=a 1.1 keep\n  Host=a\nEND\n");
        limits.head_bytes_max = sizeof(bytes) - 2;
        expect(HTTP_SERVER, bytes, "BROKEN 431\n");
}

static void test_endless_empty_lines_reach_the_head_limit(void **state)
{
        limits.head_bytes_max = 8;
        expect(HTTP_SERVER, "\r\n\r\n\r\n\r\n\r\n", "BROKEN 431\n");
}

static void test_header_count_limit_is_exact(void **state)
{
        limits.headers_max = 2;
        expect(HTTP_SERVER, "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n", "GET[0] / host=a 1.1 keep\n  Host=a\n  A=1\nEND\n");
        expect(HTTP_SERVER, "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n", "BROKEN 431\n");
}

static void test_body_limit_is_exact(void **state)
{
        limits.body_bytes_max = 3;
        expect(HTTP_SERVER, "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
               "POST[2] / host= 1.0 body length=3\n  Content-Length=3\n<abc>\nEND\n");
        expect(HTTP_SERVER, "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nabcd", "BROKEN 413\n");

        static const char *const bytes = CHUNKED "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
        struct transcript t;

        parse(&(struct example) { .bytes = bytes }, strlen(bytes), 0, 0, &t);
        assert_true(is_refused(&t, 413));
}

static void test_interim_responses_are_bounded(void **state)
{
        limits.head_bytes_max = 60;
        expect(HTTP_CLIENT, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
               "BROKEN 431\n");
}

static void test_trailers_and_extensions_are_bounded(void **state)
{
        char bytes[512];
        struct transcript t;
        static const char *const begins[] = { "1;", "1\r\na\r\n0\r\nX: " };

        limits.head_bytes_max = 100;
        for (size_t i = 0; i < ELEMENTSOF(begins); i++) {
                int n = snprintf(bytes, sizeof(bytes), "%s%s%0200d", CHUNKED, begins[i], 1);

                parse(&(struct example) { .bytes = bytes }, (size_t) n, (size_t) n, (size_t) n, &t);
                assert_true(is_refused(&t, 431));
                parse(&(struct example) { .bytes = bytes }, (size_t) n, 0, 0, &t);
                assert_true(is_refused(&t, 431));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_requests_under_every_split, restore_limits),
                cmocka_unit_test_setup(test_responses_under_every_split, restore_limits),
                cmocka_unit_test_setup(test_malformed_requests_are_refused, restore_limits),
                cmocka_unit_test_setup(test_malformed_responses_are_refused, restore_limits),
                cmocka_unit_test_setup(test_nul_bytes_are_refused, restore_limits),
                cmocka_unit_test_setup(test_head_limit_is_exact, restore_limits),
                cmocka_unit_test_setup(test_endless_empty_lines_reach_the_head_limit, restore_limits),
                cmocka_unit_test_setup(test_header_count_limit_is_exact, restore_limits),
                cmocka_unit_test_setup(test_body_limit_is_exact, restore_limits),
                cmocka_unit_test_setup(test_interim_responses_are_bounded, restore_limits),
                cmocka_unit_test_setup(test_trailers_and_extensions_are_bounded, restore_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
