#include "common/fd.h"
#include "examples/frozen-lake/lake_mcp.h"
#include "examples/frozen-lake/pcg64.h"
#include "examples/frozen-lake/seed_sequence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

/* The numbers come from numpy 2.4: SeedSequence(S).generate_state(4, uint64), PCG64(S).random_raw(2). */
static void test_random_numbers_are_those_of_numpy(void **state)
{
        static const struct {
                uint64_t seed, words[4], raw[2];
        } vectors[] = {
                { 0, { 0xdb2cd7e7b0f478be, 0xabf4641a2c71ba49, 0x20c6ed6d9d7b8d41, 0x2c4099de223c39d4 },
                  { 0xa30febcfd9c2825f, 0x4510bdf882d9d721 } },
                { 42, { 0x9f1e2e6dcd540ab7, 0xd57873dc79fb94b6, 0x7d282a1b64d420b7, 0x336579714692d5ff },
                  { 0xc621fbcd16d92688, 0x705a5661a791ffc1 } },
                { 0x10000000007, { 0x0d8672e10e3d1a15, 0x9aef4ada4ecfa161, 0x999c1c3b83dba903, 0x408927dc0dc8a316 },
                  { 0xd46e9e2034de21aa, 0x415badc99c087675 } },
        };

        for (size_t i = 0; i < ELEMENTSOF(vectors); i++) {
                struct pcg64 pcg;
                uint64_t words[4];

                seed_sequence_generate(vectors[i].seed, words, 4);
                assert_memory_equal(words, vectors[i].words, sizeof(words));
                pcg64_init(&pcg, vectors[i].seed);
                for (size_t j = 0; j < 2; j++)
                        assert_true(pcg64_next(&pcg) == vectors[i].raw[j]);
        }
}

static void test_fractions_are_those_of_numpy(void **state)
{
        struct pcg64 pcg;

        pcg64_init(&pcg, 42);
        assert_true(pcg64_random(&pcg) == 0x1.8c43f79a2db24p-1);
        assert_true(pcg64_random(&pcg) == 0x1.c16959869e47ep-2);
}

static void test_known_maps(void **state)
{
        static const struct {
                uint64_t seed;
                unsigned size;
                const char *text;
        } known[] = {
                { 42, 4, "SFHF\nFHFF\nFFFH\nFHFG" },
                { 123, 4, "SFFF\nFHHF\nHHFF\nHFFG" },
                { 456, 4, "SFFF\nHFFF\nFHFF\nFFFG" },
                { 42, 8, "SFHFFHFF\nFFFHFHFF\nFFHFFFHH\nFFFFFFFH\nFFFFFFFF\nFHFFHHFF\nFFFFFFFF\nFFFFFFFG" },
        };

        for (size_t i = 0; i < ELEMENTSOF(known); i++) {
                char text[LAKE_TEXT_SIZE];
                struct lake_map map;

                lake_map_generate(known[i].size, known[i].seed, &map);
                lake_map_text(&map, text);
                assert_string_equal(text, known[i].text);
        }
}

static void play(struct lake_game *game, const char *moves)
{
        static const enum lake_action actions[] = {
                ['L'] = LAKE_LEFT, ['D'] = LAKE_DOWN, ['R'] = LAKE_RIGHT, ['U'] = LAKE_UP,
        };

        for (; *moves; moves++)
                lake_game_move(game, actions[(unsigned char) *moves]);
}

static void test_a_hole_ends_the_episode(void **state)
{
        struct lake_game game;

        lake_game_init(&game, 4, 42);
        play(&game, "RR");
        assert_true(game.terminated);
        assert_int_equal(game.position, 2);
        assert_true(game.total_reward == 0.0);
        play(&game, "DDD"); /* nothing moves any more */
        assert_int_equal(game.position, 2);
        assert_int_equal(game.steps, 2);
}

static void test_the_goal_pays(void **state)
{
        struct lake_game game;

        lake_game_init(&game, 4, 123);
        play(&game, "RRRDD");
        assert_false(game.terminated);
        assert_true(game.reward == 0.0);
        play(&game, "D");
        assert_true(game.terminated);
        assert_true(game.reward == 1.0 && game.total_reward == 1.0);
        assert_int_equal(game.steps, 6);
}

static void test_edges_hold_and_steps_count(void **state)
{
        struct lake_game game;

        lake_game_init(&game, 4, 123);
        play(&game, "LU");
        assert_int_equal(game.position, 0);
        assert_int_equal(game.steps, 2);
        play(&game, "RRRR");
        assert_int_equal(game.position, 3);
        for (unsigned i = game.steps; i < LAKE_STEPS_MAX; i++) {
                assert_false(game.truncated);
                play(&game, "U");
        }
        assert_true(game.truncated);
        assert_false(game.terminated);
        play(&game, "D");
        assert_int_equal(game.position, 3);
}

static int file_with(const char *data, size_t size)
{
        int fd = memfd_create("test", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data, size), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

/* What the server writes while it reads input; the caller's. */
static char *converse_bytes(const char *input, size_t size, struct lake_mcp *lake)
{
        _cleanup_fd_ int in = file_with(input, size), out = file_with("", 0);
        struct mcp_server server = lake_mcp_server(lake);
        char *output = NULL;

        assert_int_equal(mcp_stdio_run(&server, in, out), 0);
        assert_int_equal(lseek(out, 0, SEEK_SET), 0);
        assert_int_equal(fd_read_all(out, 1 << 20, &output, NULL), 0);
        return output;
}

static char *converse(const char *input, struct lake_mcp *lake)
{
        return converse_bytes(input, strlen(input), lake);
}

#define INITIALIZE(version, client) \
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"" \
        version "\",\"clientInfo\":" client "}}\n"

static void assert_answers(const char *input, const char *part)
{
        struct lake_mcp lake = { .size = 4 };
        _cleanup_free_ char *output = converse(input, &lake);

        if (!strstr(output, part))
                fail_msg("no %s in %s", part, output);
}

static void test_revisions(void **state)
{
        assert_answers(INITIALIZE("2024-11-05", "{}"), "\"protocolVersion\":\"2024-11-05\"");
        assert_answers(INITIALIZE("2025-06-18", "{}"), "\"protocolVersion\":\"2025-06-18\"");
        assert_answers(INITIALIZE("2031-01-01", "{}"), "\"protocolVersion\":\"2025-11-25\"");
}

static void test_the_command_line_goes_before_the_client(void **state)
{
        static const char input[] = INITIALIZE("2025-06-18", "{\"_extra\":{\"seed\":0,\"config\":{\"seed\":7,"
                                                             "\"size\":8}}}");
        struct lake_mcp open = { .size = 4, .seed = 5 }, given = open;

        given.has_seed = given.has_size = true;
        _unused_ _cleanup_free_ char *a = converse(input, &open), *b = converse(input, &given);

        assert_int_equal(open.game.seed, 0);
        assert_int_equal(open.game.map.size, 8);
        assert_int_equal(given.game.seed, 5);
        assert_int_equal(given.game.map.size, 4);
}

static void test_errors_have_their_codes(void **state)
{
#define AFTER_INITIALIZE(text) INITIALIZE("2025-06-18", "{}") text "\n"
        assert_answers("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n", "\"code\":-32600");
        assert_answers("[1,\n", "\"id\":null,\"error\":{\"code\":-32700");
        assert_answers(AFTER_INITIALIZE("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"prompts/list\"}"),
                       "\"code\":-32601");
        assert_answers(AFTER_INITIALIZE("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\","
                                        "\"params\":{\"uri\":\"x:y\"}}"),
                       "\"code\":-32002");
        assert_answers(AFTER_INITIALIZE("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\"}"),
                       "\"code\":-32602");
        assert_answers(AFTER_INITIALIZE("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
                                        "\"params\":{\"name\":\"x\"}}"),
                       "Unknown tool: x\"}],\"isError\":true");
        assert_answers(INITIALIZE("2025-06-18", "{\"_extra\":{\"seed\":-1}}"), "\"code\":-32602");
}

static void test_an_overlong_line_is_answered_once_and_passed_over(void **state)
{
        static const char ping[] = "\n{\"jsonrpc\":\"2.0\",\"id\":\"after\",\"method\":\"ping\"}\n";
        size_t size = 5 * 1024 * 1024 / 2;
        _cleanup_free_ char *input = malloc(size + sizeof(ping));
        struct lake_mcp lake = { .size = 4 };

        memset(input, 'x', size);
        memcpy(input + size, ping, sizeof(ping));
        _cleanup_free_ char *output = converse_bytes(input, size + strlen(ping), &lake);

        assert_string_equal(output, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,"
                                    "\"message\":\"Not JSON\"}}\n"
                                    "{\"jsonrpc\":\"2.0\",\"id\":\"after\",\"result\":{}}\n");
}

static void test_a_batch_is_answered_by_a_batch(void **state)
{
        struct lake_mcp lake = { .size = 4 };
        _cleanup_free_ char *output = converse("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
                                               "{\"jsonrpc\":\"2.0\","
                                               "\"method\":\"x\"},{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}]\n"
                                               "[{\"jsonrpc\":\"2.0\",\"method\":\"x\"}]\n", &lake);

        assert_string_equal(output, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}},{\"jsonrpc\":\"2.0\",\"id\":2,"
                                    "\"result\":{}}]\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_numbers_are_those_of_numpy),
                cmocka_unit_test(test_fractions_are_those_of_numpy),
                cmocka_unit_test(test_known_maps),
                cmocka_unit_test(test_a_hole_ends_the_episode),
                cmocka_unit_test(test_the_goal_pays),
                cmocka_unit_test(test_edges_hold_and_steps_count),
                cmocka_unit_test(test_revisions),
                cmocka_unit_test(test_the_command_line_goes_before_the_client),
                cmocka_unit_test(test_errors_have_their_codes),
                cmocka_unit_test(test_an_overlong_line_is_answered_once_and_passed_over),
                cmocka_unit_test(test_a_batch_is_answered_by_a_batch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
