#include "router/body.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define KIB 1024

static char bytes[64 * KIB];

static void test_a_body_is_kept_up_to_its_cap(void **state)
{
        struct body_budget budget = { .max = 1 << 20 };
        struct body body = { .budget = &budget };

        assert_int_equal(body_append(&body, "abc", 3, 5), 0);
        assert_int_equal(body_append(&body, "de", 2, 5), 0);
        assert_int_equal(body.size, 5);
        assert_memory_equal(body.data, "abcde", 5);
        assert_true(budget.used >= 5);
        assert_int_equal(body_append(&body, "f", 1, 5), -EFBIG);
        assert_true(body.is_partial);
        assert_int_equal(body.size, 0);
        assert_int_equal(budget.used, 0);
        assert_int_equal(body_append(&body, "f", 1, 5), 0); /* given up already */
        assert_int_equal(body.size, 0);
        body_reset(&body);
        assert_false(body.is_partial);
}

static void test_bodies_share_a_budget(void **state)
{
        struct body_budget budget = { .max = 128 * KIB };
        struct body a = { .budget = &budget }, b = { .budget = &budget }, c = { .budget = &budget };

        assert_int_equal(body_append(&a, bytes, 64 * KIB, 1 << 20), 0);
        assert_false(body_budget_is_low(&budget));
        assert_int_equal(body_append(&b, bytes, KIB, 1 << 20), 0);
        assert_true(body_budget_is_low(&budget));
        assert_int_equal(body_append(&c, bytes, 64 * KIB, 1 << 20), -ENOBUFS);
        assert_true(c.is_partial);
        assert_int_equal(budget.used, a.allocated + b.allocated);

        body_drop(&a);
        assert_true(a.is_partial);
        assert_int_equal(budget.used, b.allocated);
        body_reset(&c);
        assert_int_equal(body_append(&c, bytes, 64 * KIB, 1 << 20), 0);
        body_reset(&b);
        body_reset(&c);
        assert_int_equal(budget.used, 0);
}

/* A reload may lower it below what is used. */
static void test_a_budget_that_shrinks(void **state)
{
        struct body_budget budget = { .max = 128 * KIB };
        struct body a = { .budget = &budget }, b = { .budget = &budget };

        assert_int_equal(body_append(&a, bytes, 64 * KIB, 1 << 20), 0);
        budget.max = KIB;
        assert_int_equal(body_append(&b, "x", 1, 1 << 20), -ENOBUFS);
        body_reset(&a);
        body_reset(&b);
        assert_int_equal(body_append(&b, "x", 1, 1 << 20), 0);
        body_reset(&b);
        assert_int_equal(budget.used, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_body_is_kept_up_to_its_cap),
                cmocka_unit_test(test_bodies_share_a_budget),
                cmocka_unit_test(test_a_budget_that_shrinks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
