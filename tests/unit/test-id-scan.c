#include "worker/id_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
        const char *text, *id; /* NULL: there is none to tell */
} bodies[] = {
        { "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\"}", "7" },
        { "{\"method\":\"m\",\"params\":{\"id\":1,\"x\":[{\"id\":2}]},\"id\":\"a,b}\\\"\"}", "\"a,b}\\\"\"" },
        { " \r\n{ \"id\" :\t12.5e3 , \"method\" : \"m\" }\n", "12.5e3" },
        { "{\"params\":{\"text\":\"\\\\\\\",\\\"id\\\":9\"},\"id\":-1,\"method\":\"m\"}", "-1" },
        { "{\"x\":\"method\",\"id\":\"\\u0061\",\"method\":\"id\"}", "\"\\u0061\"" },
        { "{\"id\":7,\"result\":{}}", NULL },            /* a response */
        { "{\"method\":\"m\",\"params\":{\"id\":3}}", NULL }, /* a notification */
        { "[{\"id\":7,\"method\":\"m\"}]", NULL },
        { "{\"id\":7,\"id\":8,\"method\":\"m\"}", NULL },
        { "{\"id\":null,\"method\":\"m\"}", NULL },
        { "{\"id\":{\"a\":1},\"method\":\"m\"}", NULL },
        { "{\"id\":7 8,\"method\":\"m\"}", NULL },
        { "{\"id\":7,\"method\":\"m\"", NULL },          /* cut off */
        { "}}{\"id\":7", NULL },
        { "", NULL },
};

static void check(const char *text, const char *expected, size_t step)
{
        struct id_scan scan = { 0 };
        struct json_slice id;
        size_t size = strlen(text);

        for (size_t i = 0; i < size; i += step)
                id_scan_feed(&scan, text + i, MIN_OF(step, size - i));
        assert_int_equal(id_scan_result(&scan, &id), expected != NULL);
        if (expected) {
                assert_int_equal(id.size, strlen(expected));
                assert_memory_equal(id.data, expected, id.size);
        }
}

static void test_bodies_cut_anywhere(_unused_ void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(bodies); i++)
                for (size_t step = 1; step <= strlen(bodies[i].text) + 1; step++)
                        check(bodies[i].text, bodies[i].id, step);
}

static void test_the_longest_id(_unused_ void **state)
{
        char id[ID_SCAN_BYTES_MAX + 2], text[ID_SCAN_BYTES_MAX + 64];

        memset(id, 'x', sizeof(id));
        id[0] = id[ID_SCAN_BYTES_MAX - 1] = '"';
        id[ID_SCAN_BYTES_MAX] = '\0';
        snprintf(text, sizeof(text), "{\"id\":%s,\"method\":\"m\"}", id);
        check(text, id, 100);
        id[ID_SCAN_BYTES_MAX - 1] = 'x';
        id[ID_SCAN_BYTES_MAX] = '"';
        id[ID_SCAN_BYTES_MAX + 1] = '\0';
        snprintf(text, sizeof(text), "{\"id\":%s,\"method\":\"m\"}", id);
        check(text, NULL, 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bodies_cut_anywhere),
                cmocka_unit_test(test_the_longest_id),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
