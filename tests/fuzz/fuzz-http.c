/* A byte stream is read the same whatever its pieces are, and what a proxy makes of an accepted
 * message is read as that message again. The first input byte chooses the role and the pieces. */
#include "common/http/http_parse.h"
#include "tests/fuzz/fuzz.h"

#include <stdarg.h>
#include <stdio.h>

#define INPUT_BYTES_MAX 4096
#define TEXT_BYTES_MAX (INPUT_BYTES_MAX * 8)

struct text {
        char bytes[TEXT_BYTES_MAX];
        size_t size;
};

static void text_add(struct text *t, const char *data, size_t size)
{
        assert(size <= sizeof(t->bytes) - t->size);
        if (size > 0)
                memcpy(t->bytes + t->size, data, size);
        t->size += size;
}

static void _printf_(2, 3) text_addf(struct text *t, const char *format, ...)
{
        char line[INPUT_BYTES_MAX * 2];
        va_list args;

        va_start(args, format);
        int n = vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        assert(n >= 0 && (size_t) n < sizeof(line));
        text_add(t, line, (size_t) n);
}

/* One way of reading a stream. */
struct reading {
        struct http_parser parser;
        enum http_role role;
        struct text told;      /* events, pieces of bodies joined */
        struct text body;      /* of the message under way */
        struct text forwarded; /* complete messages as a proxy would send them on */
        bool is_broken;
};

static const struct http_limits limits = { .head_bytes_max = 1024, .headers_max = 16, .body_bytes_max = 2048 };

static void check_head(const struct http_head *head)
{
        for (size_t i = 0; i < head->n_headers; i++) {
                const struct http_header *h = &head->headers[i];

                assert(h->name.size > 0 && !memchr(h->name.data, ' ', h->name.size));
                assert(h->value.size == 0 || (!memchr(h->value.data, '\r', h->value.size) &&
                                              !memchr(h->value.data, '\n', h->value.size)));
        }
        assert(head->status > 0 || head->target.data[0] == '/' || http_slice_is(head->target, "*"));
        assert(head->status > 0 || head->minor_version == 0 || head->host.size > 0);
        assert(!(head->is_chunked && head->has_content_length));
}

static void forward_head(struct text *to, const struct http_head *head)
{
        if (head->status > 0)
                text_addf(to, "HTTP/1.1 %u x\r\n", head->status);
        else
                text_addf(to, "%.*s %.*s HTTP/1.1\r\n", (int) head->method_name.size, head->method_name.data,
                          (int) head->target.size, head->target.data);
        if (head->status == 0 && head->host.size == 0)
                text_addf(to, "Host: none\r\n");
        for (size_t i = 0; i < head->n_headers; i++) {
                const struct http_header *h = &head->headers[i];

                if (http_head_is_hop_by_hop(head, h) && !http_slice_is_nocase(h->name, "Host"))
                        continue;
                if (http_slice_is_nocase(h->name, "Host") && head->status == 0 && head->host.size == 0)
                        continue;
                text_addf(to, "%.*s: ", (int) h->name.size, h->name.data);
                text_add(to, h->value.data, h->value.size);
                text_addf(to, "\r\n");
        }
}

static void forward_end(struct reading *r)
{
        unsigned status = r->parser.head.status;

        if (status == 0 ? r->body.size > 0 : status != 204 && status != 304)
                text_addf(&r->forwarded, "Content-Length: %zu\r\n", r->body.size);
        text_addf(&r->forwarded, "\r\n");
        text_add(&r->forwarded, r->body.bytes, r->body.size);
        text_add(&r->told, r->body.bytes, r->body.size);
        text_addf(&r->told, "\nEND\n");
}

static void on_event(struct reading *r, enum http_parse_event event)
{
        switch (event) {
        case HTTP_PARSE_HEAD:
                check_head(&r->parser.head);
                text_addf(&r->told, "HEAD %d\n", r->parser.head.keep_alive);
                forward_head(&r->forwarded, &r->parser.head);
                r->body.size = 0;
                break;
        case HTTP_PARSE_BODY:
                text_add(&r->body, r->parser.body.data, r->parser.body.size);
                break;
        case HTTP_PARSE_END:
                forward_end(r);
                http_parser_next(&r->parser);
                break;
        case HTTP_PARSE_BROKEN:
                assert(r->parser.status >= 400 && r->parser.why);
                r->is_broken = true;
                break;
        case HTTP_PARSE_MORE:
                break;
        }
}

static void read_piece(struct reading *r, const uint8_t *data, size_t size)
{
        _cleanup_free_ char *piece = malloc(size + 1); /* of its own, so that reading beyond it is noticed */
        enum http_parse_event event = HTTP_PARSE_END;
        size_t at = 0, consumed;

        assert(piece);
        memcpy(piece + 1, data, size);
        while (event != HTTP_PARSE_MORE && event != HTTP_PARSE_BROKEN) {
                event = http_parser_step(&r->parser, piece + 1 + at, size - at, &consumed);
                assert(consumed <= size - at);
                at += consumed;
                on_event(r, event);
        }
        assert(r->is_broken || at == size);
}

/* Pieces of 1 to piece_max bytes, in an order that seed decides; 0: all at once. */
static struct reading *read_all(enum http_role role, const uint8_t *data, size_t size, size_t piece_max, unsigned seed)
{
        struct reading *r = calloc(1, sizeof(*r));

        assert(r);
        r->role = role;
        http_parser_init(&r->parser, role, &limits);
        for (size_t at = 0; at < size && !r->is_broken;) {
                seed = seed * 1103515245 + 12345;
                size_t n = piece_max == 0 ? size : MIN_OF(1 + (seed >> 16) % piece_max, size - at);

                read_piece(r, data + at, n);
                at += n;
        }
        if (!r->is_broken)
                on_event(r, http_parser_eof(&r->parser));
        http_parser_done(&r->parser);
        return r;
}

static bool text_equal(const struct text *a, const struct text *b)
{
        return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* What was forwarded up to the end of the last complete message. */
static void check_forwarded(struct reading *r)
{
        if (r->is_broken || r->forwarded.size == 0 || r->forwarded.size > INPUT_BYTES_MAX)
                return;
        const uint8_t *bytes = (const uint8_t *) r->forwarded.bytes;
        struct reading *again = read_all(r->role, bytes, r->forwarded.size, 0, 0);

        if (!again->is_broken) {
                assert(text_equal(&again->forwarded, &r->forwarded));
        } else {
                /* Only because names and a length were spelled out longer than they came. */
                assert(again->parser.status == 431);
        }
        free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 2 || size > INPUT_BYTES_MAX)
                return 0;
        enum http_role role = data[0] % 2 ? HTTP_CLIENT : HTTP_SERVER;
        unsigned seed = data[0];

        data++;
        size--;
        struct reading *whole = read_all(role, data, size, 0, 0);
        struct reading *pieces = read_all(role, data, size, 1 + seed / 8, seed);

        assert(whole->is_broken == pieces->is_broken);
        assert(text_equal(&whole->told, &pieces->told));
        assert(text_equal(&whole->forwarded, &pieces->forwarded));
        check_forwarded(whole);
        free(pieces);
        free(whole);
        return 0;
}
