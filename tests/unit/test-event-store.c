/* What is kept of streams that can be resumed: cursors, room, and who gives way. */

#include "worker/event_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#define ROOM (64u * 1024)

struct owner {
        struct event_log *log;
        bool is_evicted;
};

static void on_evict(void *userdata)
{
        struct owner *owner = userdata;

        owner->is_evicted = true;
        owner->log = event_log_free(owner->log);
}

static struct event_store *store;
static struct owner a, b;
static char kilobyte[1024], large[ROOM];

static int setup(void **state)
{
        a = b = (struct owner) { 0 };
        memset(kilobyte, 'k', sizeof(kilobyte));
        memset(large, 'l', sizeof(large));
        return event_store_new(ROOM, &store) < 0 || event_log_new(store, on_evict, &a, &a.log) < 0 ||
               event_log_new(store, on_evict, &b, &b.log) < 0;
}

static int teardown(void **state)
{
        event_log_free(a.log);
        event_log_free(b.log);
        event_store_free(store);
        return 0;
}

static int add(struct owner *owner, const char *text)
{
        return event_log_add(owner->log, text, strlen(text), EVENT_MESSAGE);
}

static int add_kilobyte(struct owner *owner, enum event_weight weight)
{
        return event_log_add(owner->log, kilobyte, sizeof(kilobyte), weight);
}

/* Everything unsent, sent and joined. */
static const char *send_all(struct owner *owner)
{
        static char text[2048];
        const struct log_event *event;
        size_t size = 0;

        while ((event = event_log_unsent(owner->log))) {
                size += (size_t) snprintf(text + size, sizeof(text) - size, "%llu%.*s ",
                                          (unsigned long long) event->number, (int) event->size, event->text);
                event_log_sent(owner->log);
        }
        text[size] = '\0';
        return text;
}

static int find(const char *id, struct owner *owner, uint64_t *ret_number)
{
        struct event_log *log;
        int r = event_store_find(store, (struct http_slice) { id, strlen(id) }, &log, ret_number);

        if (r >= 0)
                assert_ptr_equal(log, owner->log);
        return r;
}

static void a_cursor_repeats_what_came_after_it(void **state)
{
        char id[EVENT_ID_SIZE];
        uint64_t number;

        for (const char *c = "pqrs"; *c; c++)
                assert_int_equal(add(&a, (char[]) { *c, '\0' }), 0);
        assert_int_equal(add(&b, "other"), 0);
        assert_string_equal(send_all(&a), "1p 2q 3r 4s ");
        assert_null(event_log_unsent(a.log));
        event_log_id(a.log, 2, id);
        assert_int_equal(find(id, &a, &number), 0);
        assert_int_equal(number, 2);
        assert_int_equal(event_log_rewind(a.log, number), 0);
        assert_string_equal(send_all(&a), "3r 4s ");
        assert_int_equal(event_log_rewind(a.log, 0), 0);
        assert_string_equal(send_all(&a), "1p 2q 3r 4s ");
        assert_int_equal(event_log_rewind(a.log, 4), 0);
        assert_string_equal(send_all(&a), "");
}

static void a_cursor_names_its_log_and_nothing_else_is_one(void **state)
{
        char id[EVENT_ID_SIZE], text[2 * EVENT_ID_SIZE];
        uint64_t number;

        add(&a, "x");
        event_log_id(a.log, 0, id);
        assert_int_equal(find(id, &a, &number), 0);
        assert_int_equal(number, 0);
        event_log_id(a.log, 1, id);
        assert_int_equal(find(id, &a, &number), 0);
        event_log_id(a.log, 2, id);
        assert_int_equal(find(id, &a, &number), -ENOENT); /* not told yet */
        event_log_id(b.log, 0, id);
        assert_int_equal(find(id, &b, &number), 0);
        event_log_id(a.log, 1, id);
        static const char *const forms[] = { "%s ", " %s", "+%s", "%s.", "0%s", "%sx" };

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                snprintf(text, sizeof(text), forms[i], id);
#pragma GCC diagnostic pop
                assert_int_equal(find(text, &a, &number), -ENOENT);
        }
        id[0] = id[0] == 'f' ? '0' : 'f';
        assert_int_equal(find(id, &a, &number), -ENOENT);
        assert_int_equal(find("", &a, &number), -ENOENT);
        assert_int_equal(find("1", &a, &number), -ENOENT);
        assert_int_equal(find("-1", &a, &number), -ENOENT);
}

static void what_was_sent_makes_room_oldest_first(void **state)
{
        for (unsigned i = 0; i < 40; i++) {
                assert_int_equal(add_kilobyte(i % 2 ? &a : &b, EVENT_MESSAGE), 0);
                event_log_sent(i % 2 ? a.log : b.log);
        }
        for (unsigned i = 0; i < 1000; i++) {
                assert_int_equal(add_kilobyte(&a, EVENT_MESSAGE), 0);
                event_log_sent(a.log);
                assert_true(event_store_bytes(store) <= ROOM);
        }
        assert_int_equal(event_log_lost(b.log), 20); /* b's were older than all that a has now */
        assert_int_equal(event_log_rewind(b.log, 19), -ESTALE);
        assert_int_equal(event_log_rewind(b.log, 20), 0);
        assert_true(event_log_lost(a.log) > 900);
        assert_int_equal(event_log_rewind(a.log, event_log_lost(a.log) - 1), -ESTALE);
        assert_int_equal(event_log_rewind(a.log, event_log_lost(a.log)), 0);
        assert_int_equal(event_log_unsent(a.log)->number, event_log_lost(a.log) + 1);
}

static void what_was_not_sent_is_never_given_up_for_another(void **state)
{
        unsigned n = 0;

        while (add_kilobyte(&a, EVENT_MESSAGE) == 0)
                n++;
        assert_in_range(n, ROOM / 2 / 1100, ROOM / 2 / 1024); /* one log may fill half */
        for (unsigned i = 0; i < 100; i++)
                if (add_kilobyte(&b, EVENT_MESSAGE) == 0)
                        event_log_sent(b.log);
        assert_int_equal(event_log_unsent(a.log)->number, 1);
        assert_int_equal(event_log_lost(a.log), 0);
        assert_int_equal(event_log_newest(a.log), n);
        assert_int_equal(event_log_dropped(a.log), 0);
}

static void weights(void **state)
{
        while (add_kilobyte(&a, EVENT_MESSAGE) == 0)
                ;
        assert_int_equal(event_log_add(a.log, large, ROOM - 2048, EVENT_MESSAGE), -ENOBUFS);
        assert_int_equal(event_log_add(a.log, large, ROOM - 2048, EVENT_RESPONSE), 0); /* what is before it is its own */
        assert_int_equal(event_log_add(b.log, large, ROOM - 2048, EVENT_RESPONSE), -ENOBUFS);
        assert_int_equal(add_kilobyte(&b, EVENT_MESSAGE), -ENOBUFS);
        assert_int_equal(add_kilobyte(&a, EVENT_MESSAGE), -ENOBUFS);
        assert_int_equal(add_kilobyte(&a, EVENT_LAST_WORD), 0);
        assert_int_equal(add_kilobyte(&b, EVENT_LAST_WORD), 0);
        assert_true(event_store_bytes(store) < 2 * ROOM);
}

static void one_larger_than_all_is_taken_alone(void **state)
{
        static char huge[3 * ROOM];

        add_kilobyte(&b, EVENT_MESSAGE);
        assert_int_equal(event_log_add(a.log, huge, sizeof(huge), EVENT_MESSAGE), -ENOBUFS);
        event_log_sent(b.log);
        assert_int_equal(event_log_add(a.log, huge, sizeof(huge), EVENT_MESSAGE), 0);
        assert_int_equal(event_log_lost(b.log), 1);
        assert_int_equal(add_kilobyte(&b, EVENT_MESSAGE), -ENOBUFS);
}

static void news_give_way_to_newer_ones(void **state)
{
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(add_kilobyte(&a, EVENT_NEWS), 0);
        assert_true(event_store_bytes(store) <= ROOM / 2);
        assert_int_equal(event_log_newest(a.log), 1000);
        assert_int_equal(event_log_lost(a.log), event_log_dropped(a.log));
        assert_int_equal(event_log_unsent(a.log)->number, event_log_lost(a.log) + 1);
}

static void logs_at_rest_give_way_heard_ones_first(void **state)
{
        struct owner unheard = { 0 };

        assert_int_equal(event_log_new(store, on_evict, &unheard, &unheard.log), 0);
        add_kilobyte(&unheard, EVENT_RESPONSE);
        event_log_rest(unheard.log);
        add_kilobyte(&b, EVENT_RESPONSE);
        event_log_sent(b.log);
        event_log_rest(b.log);
        for (unsigned i = 0; !b.is_evicted && i < 100; i++) {
                assert_int_equal(add_kilobyte(&a, EVENT_MESSAGE), 0);
                event_log_sent(a.log);
        }
        assert_true(b.is_evicted);
        assert_false(unheard.is_evicted);
        assert_int_equal(event_log_lost(a.log), 0);
        for (unsigned i = 0; i < 200; i++)
                if (add_kilobyte(&a, EVENT_MESSAGE) == 0)
                        event_log_sent(a.log);
        assert_false(unheard.is_evicted); /* the past of another is worth less than an answer */
        event_log_rewind(a.log, event_log_lost(a.log)); /* all of that is unsent again: nothing else can give way */
        assert_int_equal(event_log_add(a.log, large, ROOM / 2, EVENT_RESPONSE), 0);
        assert_true(unheard.is_evicted);
}

static void a_log_that_wakes_is_safe_again(void **state)
{
        add_kilobyte(&b, EVENT_RESPONSE);
        event_log_rest(b.log);
        assert_int_equal(event_log_rewind(b.log, 0), 0); /* somebody came for it */
        for (unsigned i = 0; i < 200; i++)
                if (add_kilobyte(&a, EVENT_MESSAGE) == 0)
                        event_log_sent(a.log);
        assert_false(b.is_evicted);
        assert_string_not_equal(send_all(&b), "");
}

static void what_is_not_kept_cannot_be_had(void **state)
{
        add(&a, "p");
        event_log_sent(a.log);
        event_log_skip(a.log);
        add(&a, "r");
        assert_string_equal(send_all(&a), "3r ");
        assert_int_equal(event_log_rewind(a.log, 1), -ESTALE);
        assert_int_equal(event_log_rewind(a.log, 2), 0);
        assert_string_equal(send_all(&a), "3r ");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_cursor_repeats_what_came_after_it, setup, teardown),
                cmocka_unit_test_setup_teardown(a_cursor_names_its_log_and_nothing_else_is_one, setup, teardown),
                cmocka_unit_test_setup_teardown(what_was_sent_makes_room_oldest_first, setup, teardown),
                cmocka_unit_test_setup_teardown(what_was_not_sent_is_never_given_up_for_another, setup, teardown),
                cmocka_unit_test_setup_teardown(weights, setup, teardown),
                cmocka_unit_test_setup_teardown(one_larger_than_all_is_taken_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(news_give_way_to_newer_ones, setup, teardown),
                cmocka_unit_test_setup_teardown(logs_at_rest_give_way_heard_ones_first, setup, teardown),
                cmocka_unit_test_setup_teardown(a_log_that_wakes_is_safe_again, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_not_kept_cannot_be_had, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
