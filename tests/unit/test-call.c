/* The pieces of `envmux call` that need no server. */
#include "ctl/call_values.h"
#include "ctl/mcp.h"
#include "common/event_reader.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* ---- event streams ----------------------------------------------------------------------------- */

struct events {
        char text[256]; /* the data of each event, in <> */
        unsigned stop_after;
};

static bool on_event(const char *data, size_t size, void *userdata)
{
        struct events *events = userdata;

        strcat(events->text, "<");
        strncat(events->text, data, size);
        strcat(events->text, ">");
        return events->stop_after > 0 && --events->stop_after == 0;
}

/* Whatever pieces the bytes come in, and whatever ends a line. */
static void test_events_are_found(void **state)
{
        static const struct {
                const char *stream, *events;
        } cases[] = {
                { "data: a\n\n", "<a>" },
                { "event: message\r\ndata: {\"a\":1}\r\n\r\ndata: b\r\n\r\n", "<{\"a\":1}><b>" },
                { "data: a\r\rdata:b\r\r", "<a><b>" },
                { "data: a\ndata: b\nid: 7\n\n", "<a\nb>" },
                { ": comment\n\n\nretry: 5\n\ndata:  two\n\n", "< two>" },
                { "data: unfinished\n", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (size_t step = 1; step <= strlen(cases[i].stream); step++) {
                        struct events events = { .text = "" };
                        struct event_reader reader = { .after_cr = false };

                        for (size_t at = 0; at < strlen(cases[i].stream); at += step)
                                assert_int_equal(event_reader_feed(&reader, cases[i].stream + at,
                                                          MIN_OF(step, strlen(cases[i].stream) - at), on_event,
                                                          &events), 0);
                        assert_string_equal(events.text, cases[i].events);
                        event_reader_done(&reader);
                }
}

static void test_reading_stops_when_asked(void **state)
{
        static const char stream[] = "data: a\n\ndata: b\n\ndata: c\n\n";
        struct events events = { .stop_after = 2 };
        struct event_reader reader = { .after_cr = false };

        assert_int_equal(event_reader_feed(&reader, stream, strlen(stream), on_event, &events), 1);
        assert_string_equal(events.text, "<a><b>");
        event_reader_done(&reader);
}

/* ---- addresses --------------------------------------------------------------------------------- */

static void test_endpoints(void **state)
{
        static const struct {
                const char *url, *address, *host, *target;
                uint16_t port;
        } cases[] = {
                { "http://127.0.0.1:8700/mcp?a=b", "127.0.0.1", "127.0.0.1:8700", "/mcp?a=b", 8700 },
                { "http://[::1]:8700/s/k/mcp", "::1", "[::1]:8700", "/s/k/mcp", 8700 },
                { "http://[::1]/", "::1", "[::1]", "/", 80 },
                { "http://localhost", "127.0.0.1", "localhost", "/", 80 },
        };
        static const char *const bad[] = {
                "", "127.0.0.1:80", "https://127.0.0.1/mcp", "http://", "http:///mcp", "http://example.org/mcp",
                "http://127.0.0.1:/", "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:8x/",
                "http://[::1/", "http://[127.0.0.1]/", "http://::1/", "http://[::1]x/", "http://127.0.0.1: 8/",
        };
        struct mcp_endpoint endpoint;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(mcp_endpoint_parse(cases[i].url, &endpoint), 0);
                assert_string_equal(endpoint.address, cases[i].address);
                assert_string_equal(endpoint.host, cases[i].host);
                assert_string_equal(endpoint.target, cases[i].target);
                assert_int_equal(endpoint.port, cases[i].port);
                free(endpoint.target);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(mcp_endpoint_parse(bad[i], &endpoint), -EINVAL);
}

/* ---- values ------------------------------------------------------------------------------------ */

static struct json_slice schema_of(const char *text)
{
        struct json_slice schema;

        assert_int_equal(json_validate(text, strlen(text), &schema), 0);
        return schema;
}

static const char schema_text[] = "{\"type\":\"object\",\"properties\":{"
                                  "\"s\":{\"type\":\"string\"},\"i\":{\"type\":\"integer\"},"
                                  "\"b\":{\"type\":\"boolean\"},\"l\":{\"type\":\"array\"},"
                                  "\"m\":{\"type\":[\"string\",\"null\"]},\"o\":{\"type\":\"object\"}}}";

static void test_values_follow_the_schema(void **state)
{
        char *words[] = { (char *) "s=12", (char *) "i=123456789012345678901234567890", (char *) "b=true",
                          (char *) "l=[1, 2]", (char *) "m=null", (char *) "o={}", (char *) "x=1e3",
                          (char *) "y=say \"hi\"=", (char *) "z=" };
        struct json_writer writer = { .data = NULL };
        char *text;

        assert_int_equal(call_values_write(words, ELEMENTSOF(words), schema_of(schema_text), &writer), CTL_OK);
        assert_int_equal(json_writer_finish(&writer, &text, NULL), 0);
        assert_string_equal(text, "{\"s\":\"12\",\"i\":123456789012345678901234567890,\"b\":true,\"l\":[1, 2],\"m\":null,"
                                  "\"o\":{},\"x\":1e3,\"y\":\"say \\\"hi\\\"=\",\"z\":\"\"}");
        free(text);
}

static void test_wrong_values_are_refused(void **state)
{
        static const char *const bad[] = { "i=one", "i=\"1\"", "b=1", "l={}", "o=[]", "=1", "word" };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char *words[] = { (char *) bad[i] };
                struct json_writer writer = { .data = NULL };

                assert_int_equal(call_values_write(words, 1, schema_of(schema_text), &writer), CTL_USAGE);
                json_writer_done(&writer);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_events_are_found),
                cmocka_unit_test(test_reading_stops_when_asked),
                cmocka_unit_test(test_endpoints),
                cmocka_unit_test(test_values_follow_the_schema),
                cmocka_unit_test(test_wrong_values_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
