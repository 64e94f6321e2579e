#include "common/http/http_parse.h"

#include "common/http/http_check.h"

static struct http_parser *parser_of(llhttp_t *llhttp)
{
        return llhttp->data;
}

/* Where a byte of the piece under way will stand in raw, once the piece has been copied. */
static const char *in_raw(const struct http_parser *p, const char *at)
{
        return p->raw + p->raw_size + (at - p->piece);
}

static int broken(struct http_parser *p, unsigned status, const char *why)
{
        p->status = status;
        p->why = why;
        return HPE_USER;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t size)
{
        struct http_parser *p = parser_of(llhttp);

        if (!p->target.data)
                p->target.data = in_raw(p, at);
        p->target.size += size;
        return HPE_OK;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t size)
{
        struct http_parser *p = parser_of(llhttp);

        if (!p->in_head)
                return HPE_OK; /* a trailer: nobody asks for it */
        if (p->name_done) {
                if (p->n_headers == p->headers_max)
                        return broken(p, 431, "too many headers");
                p->headers[p->n_headers++] = (struct http_header) { .name = { in_raw(p, at), 0 } };
                p->name_done = false;
        }
        p->headers[p->n_headers - 1].name.size += size;
        return HPE_OK;
}

static int on_header_field_complete(llhttp_t *llhttp)
{
        parser_of(llhttp)->name_done = true;
        return HPE_OK;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t size)
{
        struct http_parser *p = parser_of(llhttp);

        if (!p->in_head)
                return HPE_OK;
        struct http_slice *value = &p->headers[p->n_headers - 1].value;

        if (!value->data)
                value->data = in_raw(p, at);
        value->size += size;
        return HPE_OK;
}

static int on_headers_complete(llhttp_t *llhttp)
{
        parser_of(llhttp)->event = HTTP_PARSE_HEAD;
        return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *llhttp)
{
        struct http_parser *p = parser_of(llhttp);

        if (llhttp->content_length > 0)
                return HPE_OK;
        p->in_trailer = true;
        p->trailer_byte = '\n';
        return HPE_PAUSED; /* so that the trailer is looked at from its first byte on */
}

static int on_body(llhttp_t *llhttp, const char *at, size_t size)
{
        struct http_parser *p = parser_of(llhttp);

        if (size == 0)
                return HPE_OK;
        p->body = (struct http_slice) { at, size };
        p->event = HTTP_PARSE_BODY;
        return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *llhttp)
{
        parser_of(llhttp)->event = HTTP_PARSE_END;
        return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
        .on_url = on_url,
        .on_header_field = on_header_field,
        .on_header_field_complete = on_header_field_complete,
        .on_header_value = on_header_value,
        .on_headers_complete = on_headers_complete,
        .on_chunk_header = on_chunk_header,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
};

static void parser_reset(struct http_parser *p)
{
        p->in_head = true;
        p->in_trailer = p->is_interim = p->is_until_eof = false;
        p->name_done = true;
        p->n_headers = 0;
        p->target = (struct http_slice) {};
        p->overhead_bytes = 0;
        p->body_bytes = 0;
}

void http_parser_init(struct http_parser *p, enum http_role role, const struct http_limits *limits)
{
        *p = (struct http_parser) { .limits = limits, .is_request = role == HTTP_SERVER };
        llhttp_init(&p->llhttp, p->is_request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
        p->llhttp.data = p;
        parser_reset(p);
}

void http_parser_done(struct http_parser *p)
{
        free(p->raw);
        free(p->headers);
        p->raw = NULL;
        p->headers = NULL;
}

void http_parser_next(struct http_parser *p)
{
        parser_reset(p);
        p->raw_size = p->head_begin = 0;
}

void http_parser_set_bodiless(struct http_parser *p, bool is_bodiless)
{
        p->is_bodiless = is_bodiless;
}

bool http_parser_is_in_head(const struct http_parser *p)
{
        return p->in_head && p->raw_size > 0;
}

void http_parser_trim(struct http_parser *p)
{
        if (p->in_head && p->raw_size == 0)
                http_parser_done(p);
}

/* The limits are read once per allocation, so that slices stay in place when they change. */
static int parser_allocate(struct http_parser *p)
{
        if (p->raw)
                return 0;
        p->raw_max = p->limits->head_bytes_max;
        p->headers_max = p->limits->headers_max;
        p->raw = malloc(MAX_OF(p->raw_max, (size_t) 1));
        p->headers = calloc(MAX_OF(p->headers_max, 1u), sizeof(*p->headers));
        if (!p->raw || !p->headers) {
                http_parser_done(p);
                return -ENOMEM;
        }
        return 0;
}

static enum http_parse_event fail(struct http_parser *p, unsigned status, const char *why)
{
        (void) broken(p, status, why);
        return HTTP_PARSE_BROKEN;
}

static bool is_letter(char byte)
{
        return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static enum http_parse_event fail_llhttp(struct http_parser *p, llhttp_errno_t error)
{
        const char *why = llhttp_get_error_reason(&p->llhttp);
        const char *first = p->raw_size > 0 ? p->raw : p->piece;

        switch (error) {
        case HPE_USER:
                return HTTP_PARSE_BROKEN; /* said by broken() */
        case HPE_INVALID_METHOD:
                if (!is_letter(*first))
                        return fail(p, 400, "this is not HTTP");
                return fail(p, 501, "unknown method");
        case HPE_INVALID_VERSION:
        case HPE_PAUSED_H2_UPGRADE:
                return fail(p, 505, "unknown HTTP version");
        default:
                return fail(p, 400, why ? why : "malformed message");
        }
}

/* llhttp stands behind the blank line: second opinions, then what the body will be. */
static enum http_parse_event head_done(struct http_parser *p)
{
        p->head = (struct http_head) {
                .target = p->target,
                .status = p->is_request ? 0 : p->llhttp.status_code,
                .minor_version = p->llhttp.http_minor,
                .headers = p->headers,
                .n_headers = p->n_headers,
        };
        struct http_slice raw = { p->raw + p->head_begin, p->raw_size - p->head_begin };
        unsigned status = p->is_request ? http_check_request(&p->head, raw, &p->why)
                                        : http_check_response(&p->head, raw, p->is_bodiless, &p->why);

        if (status == 0 && p->head.is_chunked != ((p->llhttp.flags & F_CHUNKED) != 0))
                status = http_check_refuse(400, "ambiguous framing", &p->why);
        if (status == 0 && p->head.has_body && p->limits->body_bytes_max > 0 &&
            p->head.content_length > p->limits->body_bytes_max)
                status = http_check_refuse(413, "body too large", &p->why);
        if (status != 0) {
                p->status = status;
                return HTTP_PARSE_BROKEN;
        }
        p->llhttp.upgrade = 0; /* never switched to; the message is an ordinary one (RFC 9110 §7.8) */
        if (!p->is_request && !p->head.has_body)
                p->llhttp.flags |= F_SKIPBODY;
        p->is_until_eof = !p->is_request && p->head.has_body && !p->head.is_chunked && !p->head.has_content_length;
        p->in_head = false;
        p->is_interim = !p->is_request && p->head.status < 200;
        return p->is_interim ? HTTP_PARSE_MORE : HTTP_PARSE_HEAD;
}

/* The trailer is thrown away, but where it ends must be beyond doubt: llhttp takes a bare LF. */
static bool trailer_is_clean(struct http_parser *p, const char *data, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                if ((p->trailer_byte == '\r') != (data[i] == '\n'))
                        return false;
                if (p->trailer_byte == '\n' && (data[i] == ' ' || data[i] == '\t'))
                        return false;
                p->trailer_byte = data[i];
        }
        return true;
}

/* One run of llhttp. MORE with bytes left means: go on. */
static enum http_parse_event parser_run(struct http_parser *p, const char *data, size_t size, size_t *ret_consumed)
{
        size_t consumed;
        bool was_in_head = p->in_head, was_in_trailer = p->in_trailer;

        if (was_in_head && size > p->raw_max - p->raw_size) {
                size = p->raw_max - p->raw_size;
                if (size == 0)
                        return fail(p, 431, "head too large");
        }
        p->event = HTTP_PARSE_MORE;
        p->piece = data;
        llhttp_errno_t error = llhttp_execute(&p->llhttp, data, size);

        if (error != HPE_OK && error != HPE_PAUSED)
                return fail_llhttp(p, error);
        if (error == HPE_PAUSED) {
                consumed = (size_t) (llhttp_get_error_pos(&p->llhttp) - data);
                llhttp_resume(&p->llhttp);
        } else {
                consumed = size;
        }
        if (was_in_head) {
                memcpy(p->raw + p->raw_size, data, consumed);
                p->raw_size += consumed;
        }
        if (was_in_trailer && !trailer_is_clean(p, data, consumed))
                return fail(p, 400, "malformed trailer");
        *ret_consumed = consumed;
        return p->event;
}

/* Bounds what comes between body bytes: chunk extensions and trailers have no other end. */
static enum http_parse_event account_body(struct http_parser *p, enum http_parse_event event, size_t consumed)
{
        bool is_body = event == HTTP_PARSE_BODY;

        p->overhead_bytes += consumed - (is_body ? p->body.size : 0);
        if (p->overhead_bytes > p->limits->head_bytes_max)
                return fail(p, 431, "chunk extension or trailer too large");
        if (!is_body)
                return event;
        p->overhead_bytes = 0;
        p->body_bytes += p->body.size;
        if (p->limits->body_bytes_max > 0 && p->body_bytes > p->limits->body_bytes_max)
                return fail(p, 413, "body too large");
        return event;
}

static enum http_parse_event interim_done(struct http_parser *p)
{
        parser_reset(p);
        p->head_begin = p->raw_size; /* kept, so that endless interim responses reach the head's limit */
        return HTTP_PARSE_MORE;
}

enum http_parse_event http_parser_step(struct http_parser *p, const char *data, size_t size, size_t *ret_consumed)
{
        enum http_parse_event event;
        size_t total = 0;

        *ret_consumed = 0;
        if (p->status != 0)
                return HTTP_PARSE_BROKEN;
        if (p->in_head && size == 0)
                return HTTP_PARSE_MORE;
        if (parser_allocate(p) < 0)
                return fail(p, 500, "out of memory");
        do {
                size_t consumed = 0;
                bool was_in_head = p->in_head;

                event = parser_run(p, data + total, size - total, &consumed);
                total += consumed;
                if (event == HTTP_PARSE_HEAD)
                        event = head_done(p);
                else if (event == HTTP_PARSE_END && p->is_interim)
                        event = interim_done(p);
                else if (!was_in_head && event != HTTP_PARSE_BROKEN)
                        event = account_body(p, event, consumed);
        } while (event == HTTP_PARSE_MORE && total < size);
        *ret_consumed = total;
        return event;
}

enum http_parse_event http_parser_eof(struct http_parser *p)
{
        if (p->status != 0)
                return HTTP_PARSE_BROKEN;
        if (p->in_head)
                return p->raw_size == 0 ? HTTP_PARSE_MORE : fail(p, 400, "the message was cut short");
        if (!p->is_until_eof)
                return fail(p, 400, "the message was cut short");
        return HTTP_PARSE_END;
}
