/* One direction of a connection as a pull parser over llhttp: bytes in, events out.
 *
 * No callback leaves this module, so whoever reacts to an event may free the parser. The head is
 * copied once, into memory that stays in place until http_parser_next: its slices point there. */
#pragma once

#include "common/http/http.h"
#include "common/http/http_llhttp.h"

enum http_parse_event {
        HTTP_PARSE_MORE,   /* everything given was consumed; nothing to tell yet */
        HTTP_PARSE_HEAD,   /* parser->head is complete */
        HTTP_PARSE_BODY,   /* some bytes of the body */
        HTTP_PARSE_END,    /* the message is complete */
        HTTP_PARSE_BROKEN, /* parser->status and parser->why say how; nothing more can be parsed */
};

struct http_parser {
        llhttp_t llhttp;
        const struct http_limits *limits;
        struct http_head head;
        enum http_parse_event event; /* set by llhttp's callbacks while a step runs */
        bool is_request;
        bool in_head;
        bool in_trailer;
        char trailer_byte;   /* the last one seen in the trailer */
        bool is_interim;     /* a 1xx response, which nobody is told of */
        bool is_bodiless;    /* the response answers HEAD */
        bool is_until_eof;   /* the response ends with the connection */
        bool name_done;      /* the next header field callback begins another header */
        char *raw;           /* the head as received, limits->head_bytes_max at most */
        size_t raw_size, raw_max;
        size_t head_begin;   /* where the head starts in raw: behind interim responses */
        const char *piece;   /* what llhttp is looking at, for its span callbacks */
        struct http_header *headers;
        unsigned n_headers, headers_max;
        struct http_slice target;
        struct http_slice body; /* of the BODY event under way */
        size_t overhead_bytes;  /* framing and trailers since the last body byte */
        uint64_t body_bytes;
        unsigned status;     /* of BROKEN: what a server answers */
        const char *why;
};

/* limits is kept by reference. Allocates nothing before the first byte. */
void http_parser_init(struct http_parser *parser, enum http_role role, const struct http_limits *limits);
void http_parser_done(struct http_parser *parser);

/* Parses until the next event. ret_consumed bytes are done with; for BODY, parser->body points into
 * data. Call again after every event but MORE and BROKEN, with no bytes where none are left. After
 * END nothing is consumed before http_parser_next. */
enum http_parse_event http_parser_step(struct http_parser *parser, const char *data, size_t size,
                                       size_t *ret_consumed);

/* Ready for the next message: the slices of the last head end here. */
void http_parser_next(struct http_parser *parser);

/* The peer sends no more: END where that ends the body, MORE between messages, else BROKEN. */
enum http_parse_event http_parser_eof(struct http_parser *parser);

/* Client role: whether the coming response answers a HEAD request. */
void http_parser_set_bodiless(struct http_parser *parser, bool is_bodiless);

/* True when the head of a message has begun and is not complete. */
bool http_parser_is_in_head(const struct http_parser *parser);

/* Gives back memory that only a message in progress needs. */
void http_parser_trim(struct http_parser *parser);
