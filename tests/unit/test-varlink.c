/* The protocol: framing, names, parameters, streams. */
#include "common/varlink_server.h"
#include "tests/unit/varlink-service.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

static void test_call_and_reply(void **state)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = client_new(*state);
        struct json_writer parameters = { .data = NULL };
        struct json_object *text;
        struct varlink_answer answer;

        json_writer_text(&parameters, "{\"number\":5,\"text\":\"a/ü\"}");
        assert_int_equal(varlink_client_call(client, "org.example.test.Echo", &parameters, &answer), 0);
        assert_int_equal(answer_int(&answer), 5);
        assert_true(json_object_object_get_ex(answer.parameters, "text", &text));
        assert_string_equal(json_object_get_string(text), "a/ü");
        assert_memory_equal(answer.text.data, "{\"number\":5,", 12);
        assert_false(answer.continues);
}

static void test_service_describes_itself(void **state)
{
        int fd = raw_new(*state);

        SEND(fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
        EXPECT(fd, "{\"parameters\":{\"vendor\":\"v\",\"product\":\"p\",\"version\":\"1\",\"url\":\"u\","
                   "\"interfaces\":[\"org.varlink.service\",\"org.example.test\"]}}");
        SEND(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                 "\"parameters\":{\"interface\":\"org.example.test\"}}");
        EXPECT(fd, "{\"parameters\":{\"description\":\"interface org.example.test\\n\"}}");
        SEND(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"a.b\"}}");
        EXPECT(fd, "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"a.b\"}}");
        close(fd);
}

static void test_split_and_joined_messages(void **state)
{
        static const char two[] = "{\"method\":\"org.example.test.Count\",\"parameters\":{\"to\":1}}\0"
                                  "{\"method\":\"org.example.test.Late\"}\0"
                                  "{\"method\":\"org.example.test.Count\",\"parameters\":{\"to\":2}}";
        int fd = raw_new(*state);

        raw_send(fd, two, sizeof(two));
        EXPECT(fd, "{\"parameters\":{\"number\":1}}");
        EXPECT(fd, "{\"parameters\":{\"number\":7}}");
        EXPECT(fd, "{\"parameters\":{\"number\":2}}");
        for (size_t i = 0; i < sizeof(two); i++)
                raw_send(fd, two + i, 1);
        EXPECT(fd, "{\"parameters\":{\"number\":1}}");
        EXPECT(fd, "{\"parameters\":{\"number\":7}}");
        EXPECT(fd, "{\"parameters\":{\"number\":2}}");
        close(fd);
}

static void test_half_closed_client_gets_its_answers(void **state)
{
        int fd = raw_new(*state);

        SEND(fd, "{\"method\":\"org.example.test.Late\"}");
        SEND(fd, "{\"method\":\"org.example.test.Count\"}");
        shutdown(fd, SHUT_WR);
        EXPECT(fd, "{\"parameters\":{\"number\":7}}");
        EXPECT(fd, "{\"parameters\":{\"number\":3}}");
        EXPECT(fd, "");
        close(fd);
}

static void test_unknown_names(void **state)
{
        int fd = raw_new(*state);

        SEND(fd, "{\"method\":\"org.example.other.Echo\"}");
        EXPECT(fd, "{\"error\":\"org.varlink.service.InterfaceNotFound\","
                   "\"parameters\":{\"interface\":\"org.example.other\"}}");
        SEND(fd, "{\"method\":\"org.example.test.Nothing\"}");
        EXPECT(fd, "{\"error\":\"org.varlink.service.MethodNotFound\","
                   "\"parameters\":{\"method\":\"org.example.test.Nothing\"}}");
        close(fd);
}

/* Each is answered with the parameter's name, and the connection goes on. */
static void test_wrong_parameters(void **state)
{
        static const struct {
                const char *message, *parameter;
        } cases[] = {
                { "{}", "method" },
                { "{\"method\":7}", "method" },
                { "{\"method\":\"Echo\"}", "method" },
                { "{\"method\":\"org.example.test.\"}", "method" },
                { "{\"method\":\"org.example.test.Echo\",\"parameters\":[]}", "parameters" },
                { "{\"method\":\"org.example.test.Echo\",\"more\":1}", "more" },
                { "{\"method\":\"org.example.test.Echo\",\"upgrade\":true}", "upgrade" },
                { "{\"method\":\"org.example.test.Echo\",\"oneway\":\"\"}", "oneway" },
                { "{\"method\":\"org.example.test.Echo\"}", "text" },
                { "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":null}}", "text" },
                { "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"\"}}", "text" },
                { "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"a\\u0000b\"}}", "text" },
                { "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"a\",\"number\":101}}", "number" },
                { "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"a\",\"number\":1.5}}", "number" },
                { "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"a\",\"number\":"
                  "99999999999999999999}}", "number" },
                { "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"a\",\"flag\":0}}", "flag" },
                { "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"a\",\"txet\":0}}", "txet" },
                { "{\"method\":\"org.example.test.Cancelled\",\"parameters\":{\"a\":0}}", "a" },
        };
        int fd = raw_new(*state);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char wanted[256], text[4096];

                snprintf(wanted, sizeof(wanted),
                         "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"%s\"}}",
                         cases[i].parameter);
                raw_send(fd, cases[i].message, strlen(cases[i].message) + 1);
                assert_string_equal(raw_receive(fd, text, sizeof(text)), wanted);
        }
        close(fd);
}

/* Each costs the sender its connection, after a sentence that says why. */
static void test_garbage_is_refused(void **state)
{
        static const struct {
                const char *bytes, *why;
        } cases[] = {
                { "", "the message is not a complete JSON object" },
                { "{\"method\":", "the message is not a complete JSON object" },
                { "GET / HTTP/1.1\r\n\r\n", "the message is not valid JSON" },
                { "{\"method\":\"\xff\xfe\"}", "the message is not valid JSON" },
                { "{\"method\":\"a.b\"} {}", "the message is not valid JSON" },
                { "{'method':'a.b'}", "the message is not valid JSON" },
                { "7", "the message is not one JSON object" },
                { "[{\"method\":\"a.b\"}]", "the message is not one JSON object" },
                { "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "the message is nested too deeply" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char wanted[256], text[4096];
                int fd = raw_new(*state);

                snprintf(wanted, sizeof(wanted),
                         "{\"error\":\"org.example.test.BadMessage\",\"parameters\":{\"why\":\"%s\"}}", cases[i].why);
                raw_send(fd, cases[i].bytes, strlen(cases[i].bytes) + 1);
                assert_string_equal(raw_receive(fd, text, sizeof(text)), wanted);
                EXPECT(fd, "");
                close(fd);
        }
}

static void test_stream_continues_and_ends(void **state)
{
        _cleanup_(varlink_client_freep) struct varlink_client *client = client_new(*state);
        struct varlink_answer answer;

        assert_int_equal(varlink_client_send(client, "org.example.test.Count", int_object("to", 3), VARLINK_MORE), 0);
        for (int i = 1; i <= 3; i++) {
                assert_int_equal(varlink_client_receive(client, &answer), 0);
                assert_int_equal(answer_int(&answer), i);
                assert_int_equal(answer.continues, i < 3);
        }
        assert_int_equal(varlink_client_call(client, "org.example.test.Hold", NULL, &answer), 0);
        assert_string_equal(answer.error, VARLINK_ERROR_EXPECTED_MORE);
}

static void test_oneway_is_not_answered(void **state)
{
        int fd = raw_new(*state);

        SEND(fd, "{\"method\":\"org.example.test.Count\",\"oneway\":true}");
        SEND(fd, "{\"method\":\"org.example.test.Late\",\"oneway\":true}");
        SEND(fd, "{\"method\":\"org.example.test.Nothing\",\"oneway\":true}");
        SEND(fd, "{\"method\":\"org.example.test.Count\",\"oneway\":true,\"more\":true}");
        SEND(fd, "{\"method\":\"org.example.test.Count\",\"parameters\":{\"to\":9}}");
        EXPECT(fd, "{\"parameters\":{\"number\":9}}");
        close(fd);
}

static void test_leaving_cancels_the_stream(void **state)
{
        int fd = raw_new(*state);

        SEND(fd, "{\"method\":\"org.example.test.Hold\",\"more\":true}");
        EXPECT(fd, "{\"parameters\":{},\"continues\":true}");
        close(fd);
        wait_cancelled(*state, 1);
}

static void test_listen_replaces_only_the_dead(void **state)
{
        struct fixture *f = *state;
        char path[128];
        int fd;

        assert_int_equal(varlink_listen(f->path), -EADDRINUSE);
        snprintf(path, sizeof(path), "%s/dead", f->dir);
        for (int i = 0; i < 2; i++) {
                fd = varlink_listen(path);
                assert_true(fd >= 0);
                close(fd);
        }
        unlink(path);
}

static void test_method_names_split(void **state)
{
        char interface[8];
        const char *method;

        assert_int_equal(varlink_split_method("a.b.C", interface, sizeof(interface), &method), 0);
        assert_string_equal(interface, "a.b");
        assert_string_equal(method, "C");
        assert_int_equal(varlink_split_method("abc", interface, sizeof(interface), &method), -EINVAL);
        assert_int_equal(varlink_split_method(".C", interface, sizeof(interface), &method), -EINVAL);
        assert_int_equal(varlink_split_method("a.", interface, sizeof(interface), &method), -EINVAL);
        assert_int_equal(varlink_split_method("too.long.name.C", interface, sizeof(interface), &method), -ENAMETOOLONG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_SERVICE(test_call_and_reply),
                WITH_SERVICE(test_service_describes_itself),
                WITH_SERVICE(test_split_and_joined_messages),
                WITH_SERVICE(test_half_closed_client_gets_its_answers),
                WITH_SERVICE(test_unknown_names),
                WITH_SERVICE(test_wrong_parameters),
                WITH_SERVICE(test_garbage_is_refused),
                WITH_SERVICE(test_stream_continues_and_ends),
                WITH_SERVICE(test_oneway_is_not_answered),
                WITH_SERVICE(test_leaving_cancels_the_stream),
                WITH_SERVICE(test_listen_replaces_only_the_dead),
                cmocka_unit_test(test_method_names_split),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
