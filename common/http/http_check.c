#include "common/http/http_check.h"


struct check {
        struct http_head *head;
        unsigned status; /* 0 so far */
        const char *why;
        unsigned n_hosts, n_lengths, n_codings;
        bool says_close, says_keep_alive;
};

unsigned http_check_refuse(unsigned status, const char *why, const char **ret_why)
{
        *ret_why = why;
        return status;
}

static void refuse(struct check *c, unsigned status, const char *why)
{
        if (c->status == 0)
                c->status = http_check_refuse(status, why, &c->why);
}

/* ---- bytes ------------------------------------------------------------------------------------ */

enum {
        BYTE_TOKEN = 1, /* RFC 9110 §5.6.2 */
        BYTE_HOST = 2,  /* reg-name, IP literal and port of RFC 3986 §3.2.2 */
};

static const uint8_t byte_class[256] = {
        ['0' ... '9'] = BYTE_TOKEN | BYTE_HOST, ['A' ... 'Z'] = BYTE_TOKEN | BYTE_HOST,
        ['a' ... 'z'] = BYTE_TOKEN | BYTE_HOST, ['!'] = BYTE_TOKEN | BYTE_HOST, ['#'] = BYTE_TOKEN,
        ['$'] = BYTE_TOKEN | BYTE_HOST, ['%'] = BYTE_TOKEN | BYTE_HOST, ['&'] = BYTE_TOKEN | BYTE_HOST,
        ['\''] = BYTE_TOKEN | BYTE_HOST, ['('] = BYTE_HOST, [')'] = BYTE_HOST, ['*'] = BYTE_TOKEN | BYTE_HOST,
        ['+'] = BYTE_TOKEN | BYTE_HOST, [','] = BYTE_HOST, ['-'] = BYTE_TOKEN | BYTE_HOST,
        ['.'] = BYTE_TOKEN | BYTE_HOST, [':'] = BYTE_HOST, [';'] = BYTE_HOST, ['='] = BYTE_HOST,
        ['['] = BYTE_HOST, [']'] = BYTE_HOST, ['^'] = BYTE_TOKEN, ['_'] = BYTE_TOKEN | BYTE_HOST,
        ['`'] = BYTE_TOKEN, ['|'] = BYTE_TOKEN, ['~'] = BYTE_TOKEN | BYTE_HOST,
};

static bool slice_is_of(struct http_slice slice, uint8_t class)
{
        uint8_t all = class;

        for (size_t i = 0; i < slice.size; i++)
                all &= byte_class[(unsigned char) slice.data[i]];
        return slice.size > 0 && all != 0;
}

bool http_slice_is_token(struct http_slice slice)
{
        return slice_is_of(slice, BYTE_TOKEN);
}

static bool bytes_are_text(const char *data, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                unsigned char byte = (unsigned char) data[i];

                if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
                        return false;
        }
        return true;
}

/* Eight bytes at once, exact only when true. */
static bool word_is_text(const char *data)
{
        const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
        uint64_t word, is_del;

        memcpy(&word, data, sizeof(word));
        is_del = word ^ (ones * 0x7f);
        return ((((word - ones * 0x20) & ~word) | ((is_del - ones) & ~is_del)) & highs) == 0;
}

/* Every header of every proxied message passes here twice. */
bool http_slice_is_text(struct http_slice slice)
{
        if (slice.size < 8)
                return bytes_are_text(slice.data, slice.size);
        const char *at = slice.data, *last = slice.data + slice.size - 8;

        for (; at < last; at += 8)
                if (!word_is_text(at))
                        return bytes_are_text(slice.data, slice.size);
        return word_is_text(last) || bytes_are_text(slice.data, slice.size);
}

/* Every line ends with CRLF, holds no other CR, and none continues the one before; as many lines as
 * llhttp saw headers. Returns the start line. */
static struct http_slice check_lines(struct check *c, struct http_slice raw)
{
        const char *at = raw.data, *end = raw.data + raw.size;
        struct http_slice start_line = {};
        unsigned n_lines = 0;

        while (end - at >= 2 && memcmp(at, "\r\n", 2) == 0)
                at += 2; /* RFC 9112 §2.2: empty lines before a request line are ignored */
        while (at < end) {
                const char *cr = memchr(at, '\r', (size_t) (end - at));

                if (!cr || cr + 1 == end || cr[1] != '\n' || memchr(at, '\n', (size_t) (cr - at))) {
                        refuse(c, 400, "a line does not end with CRLF");
                        break;
                }
                if (*at == ' ' || *at == '\t')
                        refuse(c, 400, "a header is folded");
                if (n_lines == 0)
                        start_line = (struct http_slice) { at, (size_t) (cr - at) };
                n_lines++;
                at = cr + 2;
        }
        if (n_lines != c->head->n_headers + 2) /* the start line and the blank one */
                refuse(c, 400, "malformed head");
        return start_line;
}

/* ---- headers ---------------------------------------------------------------------------------- */

static void on_host(struct check *c, struct http_slice value)
{
        if (c->n_hosts++ > 0)
                refuse(c, 400, "more than one Host");
        else if (value.size > 0 && !slice_is_of(value, BYTE_HOST))
                refuse(c, 400, "malformed Host");
        c->head->host = value;
}

static void on_content_length(struct check *c, struct http_slice value)
{
        uint64_t length = 0;

        if (c->n_lengths++ > 0)
                return refuse(c, 400, "more than one Content-Length");
        if (value.size == 0 || value.size > 18)
                return refuse(c, 400, "malformed Content-Length");
        for (size_t i = 0; i < value.size; i++) {
                if (value.data[i] < '0' || value.data[i] > '9')
                        return refuse(c, 400, "malformed Content-Length");
                length = length * 10 + (uint64_t) (value.data[i] - '0');
        }
        c->head->content_length = length;
        c->head->has_content_length = true;
}

static void on_transfer_encoding(struct check *c, struct http_slice value)
{
        if (c->n_codings++ > 0)
                refuse(c, 400, "more than one Transfer-Encoding");
        else if (!http_slice_is_nocase(value, "chunked"))
                refuse(c, 501, "unknown transfer coding");
        else if (c->head->minor_version == 0)
                refuse(c, 400, "Transfer-Encoding in HTTP/1.0");
        c->head->is_chunked = true;
}

static void on_connection(struct check *c, struct http_slice value)
{
        struct http_slice token;

        while (http_list_next(&value, &token)) {
                if (http_slice_is_nocase(token, "close"))
                        c->says_close = true;
                else if (http_slice_is_nocase(token, "keep-alive"))
                        c->says_keep_alive = true;
                else
                        c->head->connection_names_headers = true;
        }
}

static void on_expect(struct check *c, struct http_slice value)
{
        if (c->head->minor_version > 0 && http_slice_is_nocase(value, "100-continue"))
                c->head->expect_continue = true;
}

/* Every name that means something to a hop: name, whether it ends there (RFC 9110 §7.6.1), handler. */
#define RULES(X)                                                \
        X("Host", false, on_host)                               \
        X("Expect", false, on_expect)                           \
        X("Connection", true, on_connection)                    \
        X("Content-Length", true, on_content_length)            \
        X("Transfer-Encoding", true, on_transfer_encoding)      \
        X("TE", true, NULL)                                     \
        X("Trailer", true, NULL)                                \
        X("Upgrade", true, NULL)                                \
        X("Keep-Alive", true, NULL)                             \
        X("Proxy-Connection", true, NULL)                       \
        X("Proxy-Authenticate", true, NULL)                     \
        X("Proxy-Authorization", true, NULL)

static const struct rule {
        struct http_slice name;
        bool is_hop_by_hop;
        void (*handle)(struct check *c, struct http_slice value);
} rules[] = {
#define AS_ROW(name_, is_hop_by_hop_, handle_) { { name_, sizeof(name_) - 1 }, is_hop_by_hop_, handle_ },
        RULES(AS_ROW)
#undef AS_ROW
};

/* The sizes of those names as bits: most headers are passed over by their size alone. */
#define AS_BIT(name_, is_hop_by_hop_, handle_) | 1u << (sizeof(name_) - 1)
static const uint32_t rule_sizes = 0 RULES(AS_BIT);
#undef AS_BIT

static const struct rule *rule_of(struct http_slice name)
{
        if (name.size >= 32 || (rule_sizes >> name.size & 1) == 0)
                return NULL;
        for (const struct rule *rule = rules; rule < rules + ELEMENTSOF(rules); rule++)
                if (rule->name.size == name.size && http_slice_equal_nocase(rule->name, name))
                        return rule;
        return NULL;
}

static void check_header(struct check *c, struct http_header *header)
{
        struct http_slice *value = &header->value;

        while (value->size > 0 && (value->data[value->size - 1] == ' ' || value->data[value->size - 1] == '\t'))
                value->size--;
        if (!value->data)
                value->data = header->name.data + header->name.size;
        if (!http_slice_is_token(header->name) || !http_slice_is_text(*value))
                return refuse(c, 400, "forbidden byte in a header");
        const struct rule *rule = rule_of(header->name);

        if (!rule)
                return;
        header->is_hop_by_hop = rule->is_hop_by_hop;
        if (rule->handle)
                rule->handle(c, *value);
}

static void check_headers(struct check *c)
{
        struct http_head *head = c->head;

        for (size_t i = 0; i < head->n_headers; i++)
                check_header(c, (struct http_header *) &head->headers[i]);
        if (head->is_chunked && head->has_content_length)
                refuse(c, 400, "Content-Length with Transfer-Encoding");
        head->keep_alive = !c->says_close && (head->minor_version > 0 || c->says_keep_alive);
}

/* ---- start lines ------------------------------------------------------------------------------ */

static bool version_is_ours(struct http_slice version, unsigned minor)
{
        return http_slice_is(version, minor > 0 ? "HTTP/1.1" : "HTTP/1.0");
}

static enum http_method method_of(struct http_slice name)
{
        static const char *const names[HTTP_OTHER] = {
                [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT",
                [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS", [HTTP_PATCH] = "PATCH",
        };
        unsigned method = 0;

        while (method < HTTP_OTHER && !http_slice_is(name, names[method]))
                method++;
        return (enum http_method) method;
}

static void check_request_line(struct check *c, struct http_slice line)
{
        struct http_head *head = c->head;
        const char *space = memchr(line.data, ' ', line.size);

        if (!space)
                return refuse(c, 400, "malformed request line");
        head->method_name = (struct http_slice) { line.data, (size_t) (space - line.data) };
        head->method = method_of(head->method_name);
        const char *target_end = head->target.data + head->target.size;

        if (head->target.data != space + 1 || target_end >= line.data + line.size || *target_end != ' ')
                return refuse(c, 400, "malformed request line");
        struct http_slice version = { target_end + 1, (size_t) (line.data + line.size - target_end - 1) };

        if (!version_is_ours(version, head->minor_version))
                refuse(c, 505, "unknown HTTP version");
}

/* absolute-form (RFC 9112 §3.2.2): what it says must be what Host says; the rest is the target. */
static void check_absolute_target(struct check *c)
{
        struct http_head *head = c->head;
        struct http_slice rest = head->target;
        size_t scheme = sizeof("http://") - 1;

        if (rest.size <= scheme || !http_slice_is_nocase((struct http_slice) { rest.data, scheme }, "http://"))
                return refuse(c, 400, "malformed target");
        rest.data += scheme;
        rest.size -= scheme;
        const char *path = memchr(rest.data, '/', rest.size);
        struct http_slice authority = { rest.data, path ? (size_t) (path - rest.data) : rest.size };

        if (!http_slice_equal_nocase(authority, head->host))
                return refuse(c, 400, "target and Host disagree");
        head->target = path ? (struct http_slice) { path, rest.size - authority.size } : (struct http_slice) { "/", 1 };
}

static void check_target(struct check *c)
{
        struct http_head *head = c->head;

        if (http_slice_is(head->method_name, "CONNECT"))
                return refuse(c, 501, "CONNECT is not served");
        for (size_t i = 0; i < head->target.size; i++) {
                unsigned char byte = (unsigned char) head->target.data[i];

                if (byte <= 0x20 || byte >= 0x7f || byte == '#')
                        return refuse(c, 400, "forbidden byte in the target");
        }
        if (head->target.size == 0)
                refuse(c, 400, "malformed target");
        else if (head->target.data[0] != '/' && !(http_slice_is(head->target, "*") && head->method == HTTP_OPTIONS))
                check_absolute_target(c);
}

unsigned http_check_request(struct http_head *head, struct http_slice raw, const char **ret_why)
{
        struct check c = { .head = head };
        struct http_slice line = check_lines(&c, raw);

        if (c.status == 0)
                check_request_line(&c, line);
        if (c.status == 0)
                check_headers(&c);
        if (c.status == 0 && head->minor_version > 0 && head->host.size == 0)
                refuse(&c, 400, "no Host");
        if (c.status == 0)
                check_target(&c);
        head->has_body = head->is_chunked || head->content_length > 0;
        if (c.status != 0)
                *ret_why = c.why;
        return c.status;
}

/* Statuses that never have a body (RFC 9112 §6.3). */
static bool status_is_bodiless(unsigned status)
{
        return status < 200 || status == 204 || status == 304;
}

unsigned http_check_response(struct http_head *head, struct http_slice raw, bool is_bodiless, const char **ret_why)
{
        struct check c = { .head = head };
        struct http_slice line = check_lines(&c, raw);

        if (c.status == 0 && (line.size < 12 || line.data[8] != ' ' ||
                              !version_is_ours((struct http_slice) { line.data, 8 }, head->minor_version)))
                refuse(&c, 505, "malformed status line");
        if (c.status == 0)
                check_headers(&c);
        if (c.status == 0 && (head->status == 101 || head->status < 100))
                refuse(&c, 400, "unexpected status");
        if (c.status == 0 && head->status != 304 && status_is_bodiless(head->status) &&
            (head->is_chunked || head->content_length > 0))
                refuse(&c, 400, "a body where none may be");
        head->has_body = !is_bodiless && !status_is_bodiless(head->status) &&
                         (!head->has_content_length || head->content_length > 0);
        if (head->has_body && !head->is_chunked && !head->has_content_length)
                head->keep_alive = false;
        if (c.status != 0)
                *ret_why = c.why;
        return c.status;
}
