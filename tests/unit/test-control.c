/* The control socket of a supervisor with a few sessions and no processes, in a child process. */
#include "common/varlink_client.h"
#include "common/varlink_server.h"
#include "supervisor/control.h"
#include "supervisor/era.h"
#include "supervisor/routers.h"
#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define INTERFACE "io.envmux.Control."
#define CONFIG "{\"mcpServers\": {\"lake\": {\"command\": \"true\"}, \"echo\": {\"command\": \"cat\"}}}"

struct fixture {
        char dir[64], path[96], config[96];
        pid_t pid;
        struct varlink_client *client;
        struct varlink_answer answer;
};

/* ---- the supervisor ---------------------------------------------------------------------------- */

struct host {
        struct supervisor supervisor;
        struct session *first;
};

static struct session *add_session(struct host *host, const char *id, const char *key, enum session_state state)
{
        struct record record = { .kind = KEY_NAMED, .generation = 1, .server = "lake", .principal = "local" };
        struct session *session;

        STR_COPY(record.id, id);
        STR_COPY(record.key, key);
        record.labels = strdup("{\"n\":123456789012345678901234567890}");
        session = session_new(&host->supervisor, &record);
        if (!session || session_table_add(host->supervisor.sessions, session) < 0)
                exit(1);
        session->state = state;
        return session;
}

static void fill_table(struct host *host)
{
        struct session *ended;

        host->first = add_session(host, "aaaa000000000001", "one", SESSION_IDLE);
        add_session(host, "aaaa000000000002", "two/2", SESSION_READY);
        ended = add_session(host, "bbbb000000000003", "gone", SESSION_FAILED);
        ended->last_lines = strdup("a \xff line\n\nlast");
        ended->end_reason = REASON_backend_exited;
        ended->last_exit = (struct session_exit) { .is_known = true, .pid = 7, .code = CLD_KILLED, .status = SIGSEGV };
        session_table_bury(host->supervisor.sessions, ended);
}

static void on_sigterm(evutil_socket_t fd, short what, void *userdata)
{
        event_base_loopbreak(userdata);
}

/* Moves the first session, for those who watch. */
static void on_sigusr1(evutil_socket_t fd, short what, void *userdata)
{
        struct host *host = userdata;

        session_notify(host->first, host->first->state);
        session_set_state(host->first, host->first->state == SESSION_IDLE ? SESSION_READY : SESSION_IDLE);
}

static _noreturn_ void serve(int listen_fd, int ready_fd, struct fixture *f_consume)
{
        struct host host = { .supervisor.base = event_base_new() };
        struct supervisor *supervisor = &host.supervisor;
        struct config_report report = { .notes = NULL };
        struct event *sigterm = evsignal_new(supervisor->base, SIGTERM, on_sigterm, supervisor->base);
        struct event *sigusr1 = evsignal_new(supervisor->base, SIGUSR1, on_sigusr1, &host);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        TAILQ_INIT(&supervisor->observers);
        supervisor->sessions = session_table_new();
        fill_table(&host);
        if (config_load(f_consume->config, NULL, &supervisor->config, &report) < 0)
                exit(1);
        supervisor->config->routers = 0;
        supervisor->options.runtime = "/nonexistent";
        if (eras_new(supervisor, &supervisor->eras) < 0 || routers_new(supervisor, NULL, &supervisor->routers) < 0 ||
            control_new(supervisor, listen_fd, &supervisor->control) < 0)
                exit(1);
        config_report_done(&report);
        free(f_consume);
        event_add(sigterm, NULL);
        event_add(sigusr1, NULL);
        close(ready_fd);
        event_base_dispatch(supervisor->base);
        control_free(supervisor->control);
        routers_free(supervisor->routers);
        eras_free(supervisor->eras);
        session_table_free(supervisor->sessions);
        config_free(supervisor->config);
        event_free(sigterm);
        event_free(sigusr1);
        event_base_free(supervisor->base);
        close(listen_fd);
        exit(0);
}

/* ---- its clients ------------------------------------------------------------------------------- */

static void write_config(const struct fixture *f)
{
        FILE *file = fopen(f->config, "we");

        assert_non_null(file);
        fputs(CONFIG, file);
        fclose(file);
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int fd, ready[2];
        char nothing;

        strcpy(f->dir, "/tmp/test-control.XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        snprintf(f->path, sizeof(f->path), "%s/control", f->dir);
        snprintf(f->config, sizeof(f->config), "%s/config.json", f->dir);
        write_config(f);
        fd = varlink_listen(f->path);
        assert_true(fd >= 0);
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        f->pid = fork();
        if (f->pid == 0) {
                close(ready[0]);
                serve(fd, ready[1], f);
        }
        close(fd);
        close(ready[1]);
        assert_int_equal(read(ready[0], &nothing, 1), 0);
        close(ready[0]);
        assert_int_equal(varlink_client_connect(f->path, &f->client), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        int status;

        varlink_client_free(f->client);
        kill(f->pid, SIGTERM);
        assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
        unlink(f->path);
        unlink(f->config);
        rmdir(f->dir);
        free(f);
        assert_int_equal(status, 0);
        return 0;
}

static const char *ask(struct fixture *f, const char *method, const char *parameters)
{
        struct json_writer writer = { .data = NULL };
        char name[128];

        snprintf(name, sizeof(name), INTERFACE "%s", method);
        json_writer_text(&writer, parameters);
        assert_int_equal(varlink_client_call(f->client, name, &writer, &f->answer), 0);
        return f->answer.error;
}

/* A string inside the answer, along a path of names. */
static const char *text_at(struct fixture *f, const char *first, const char *second)
{
        struct json_object *value = NULL;

        if (!json_object_object_get_ex(f->answer.parameters, first, &value))
                return NULL;
        if (second && !json_object_object_get_ex(value, second, &value))
                return NULL;
        return json_object_get_string(value);
}

static void assert_answer(const struct fixture *f, const char *text)
{
        if (!memmem(f->answer.text.data, f->answer.text.size, text, strlen(text)))
                fail_msg("%.*s\n...does not have %s", (int) f->answer.text.size, f->answer.text.data, text);
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void test_sessions_are_listed(void **state)
{
        struct fixture *f = *state;
        struct json_object *sessions;

        assert_null(ask(f, "List", "{}"));
        assert_true(json_object_object_get_ex(f->answer.parameters, "sessions", &sessions));
        assert_int_equal(json_object_array_length(sessions), 2);
        assert_answer(f, "\"labels\":{\"n\":123456789012345678901234567890}");
        assert_null(ask(f, "List", "{\"ended\":true}"));
        assert_true(json_object_object_get_ex(f->answer.parameters, "sessions", &sessions));
        assert_int_equal(json_object_array_length(sessions), 3);
        assert_null(ask(f, "List", "{\"server\":\"echo\"}"));
        assert_answer(f, "{\"sessions\":[]}");
}

static void test_a_session_has_several_names(void **state)
{
        static const char *const names[][2] = {
                { "aaaa000000000001", "aaaa000000000001" }, { "lake/one", "aaaa000000000001" },
                { "lake/two/2", "aaaa000000000002" },       { "bbbb", "bbbb000000000003" },
                { "lake/gone", "bbbb000000000003" },        { "bbbb000000000003", "bbbb000000000003" },
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char parameters[128];

                snprintf(parameters, sizeof(parameters), "{\"id\":\"%s\"}", names[i][0]);
                assert_null(ask(f, "Show", parameters));
                assert_string_equal(text_at(f, "session", "id"), names[i][1]);
        }
        assert_answer(f, "\"last_exit\":{\"pid\":7,\"code\":\"killed\",\"signal\":11}");
        assert_answer(f, "\"reason\":\"backend_exited\"");
}

static void test_names_that_lead_nowhere(void **state)
{
        struct fixture *f = *state;

        assert_string_equal(ask(f, "Show", "{\"id\":\"aaaa\"}"), INTERFACE "AmbiguousSession");
        assert_answer(f, "\"candidates\":[\"aaaa000000000001\",\"aaaa000000000002\"]");
        assert_string_equal(ask(f, "Show", "{\"id\":\"bbb\"}"), INTERFACE "NoSuchSession");
        assert_string_equal(ask(f, "Show", "{\"id\":\"echo/one\"}"), INTERFACE "NoSuchSession");
        assert_string_equal(ask(f, "Show", "{\"id\":\"one\"}"), INTERFACE "NoSuchSession");
        assert_string_equal(text_at(f, "id", NULL), "one");
        assert_string_equal(ask(f, "Logs", "{\"id\":\"cccc\"}"), INTERFACE "NoSuchSession");
        assert_string_equal(ask(f, "Stop", "{\"id\":\"cccc\"}"), INTERFACE "NoSuchSession");
        assert_string_equal(ask(f, "Drain", "{\"server\":\"none\"}"), INTERFACE "NoSuchServer");
}

static void test_stop_wants_one_way_of_naming(void **state)
{
        static const char *const bad[] = {
                "{}", "{\"all\":false}", "{\"id\":\"aaaa\",\"all\":true}", "{\"id\":\"aaaa\",\"server\":\"lake\"}",
                "{\"server\":\"lake\",\"all\":true}",
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_string_equal(ask(f, "Stop", bad[i]), VARLINK_ERROR_INVALID_PARAMETER);
                assert_string_equal(text_at(f, "parameter", NULL), "id");
        }
        assert_null(ask(f, "Stop", "{\"server\":\"echo\"}"));
        assert_answer(f, "{\"stopped\":[]}");
        assert_null(ask(f, "Stop", "{\"id\":\"bbbb\"}"));
        assert_answer(f, "{\"stopped\":[]}");
}

static void test_last_lines_of_an_ended_session(void **state)
{
        struct fixture *f = *state;

        assert_null(ask(f, "Logs", "{\"id\":\"lake/gone\"}"));
        assert_answer(f, "{\"lines\":[{\"text\":\"a \xef\xbf\xbd line\",\"stdout\":false},"
                         "{\"text\":\"\",\"stdout\":false},{\"text\":\"last\",\"stdout\":false}],\"dropped\":0,"
                         "\"ended\":\"bbbb000000000003\"}");
        assert_string_equal(ask(f, "Logs", "{\"id\":\"lake/gone\",\"follow\":true}"), VARLINK_ERROR_EXPECTED_MORE);
}

static void test_servers_and_metrics(void **state)
{
        struct fixture *f = *state;

        assert_null(ask(f, "Servers", "{}"));
        assert_answer(f, "{\"name\":\"lake\",\"path\":\"/lake/mcp\",\"is_default\":false,\"transport\":\"stdio\"");
        assert_answer(f, "\"sessions\":2");
        assert_null(ask(f, "Metrics", "{}"));
        assert_answer(f, "\"sessions\":2,");
        assert_answer(f, "\"sessions_idle\":1,");
        assert_answer(f, "\"sessions_remembered\":1,");
}

static void test_moves_are_told(void **state)
{
        struct fixture *f = *state;

        assert_string_equal(ask(f, "Monitor", "{}"), VARLINK_ERROR_EXPECTED_MORE);
        assert_int_equal(varlink_client_send(f->client, INTERFACE "Monitor", NULL, VARLINK_MORE), 0);
        assert_int_equal(varlink_client_receive(f->client, &f->answer), 0);
        assert_answer(f, "{}");
        for (int i = 0; i < 2; i++) {
                kill(f->pid, SIGUSR1);
                assert_int_equal(varlink_client_receive(f->client, &f->answer), 0);
                assert_true(f->answer.continues);
                assert_answer(f, "\"id\":\"aaaa000000000001\",\"server\":\"lake\",\"key\":\"one\",\"generation\":1,");
                assert_answer(f, i ? "\"from\":\"ready\",\"to\":\"idle\",\"state\":\"active\""
                                   : "\"from\":\"idle\",\"to\":\"ready\",\"state\":\"active\"");
        }
}

/* What leads into a session, or quotes its client, is not for every user of the machine. */
static void look_as_stranger(struct fixture *f)
{
        static const char *const hidden[] = { "\"key\"", "\"url\"", "\"aliases\"", "\"labels\"", "one" };

        assert_int_equal(setuid(65534), 0);
        assert_int_equal(varlink_client_connect(f->path, &f->client), 0);
        assert_null(ask(f, "List", "{}"));
        assert_answer(f, "{\"sessions\":[{\"id\":\"aaaa000000000001\",\"server\":\"lake\",");
        for (size_t i = 0; i < ELEMENTSOF(hidden); i++)
                assert_null(memmem(f->answer.text.data, f->answer.text.size, hidden[i], strlen(hidden[i])));
        assert_string_equal(ask(f, "Logs", "{\"id\":\"aaaa\"}"), VARLINK_ERROR_PERMISSION_DENIED);
        assert_string_equal(ask(f, "Stop", "{\"all\":true}"), VARLINK_ERROR_PERMISSION_DENIED);
        assert_string_equal(ask(f, "Drain", "{\"all\":true}"), VARLINK_ERROR_PERMISSION_DENIED);
        assert_string_equal(ask(f, "Reload", "{}"), VARLINK_ERROR_PERMISSION_DENIED);
}

static void test_strangers_see_less(void **state)
{
        struct fixture *f = *state;
        int status;
        pid_t pid;

        if (geteuid() != 0)
                skip();
        assert_int_equal(chmod(f->dir, 0755), 0);
        pid = fork();
        if (pid == 0) {
                look_as_stranger(f);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

#define WITH_HOST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_HOST(test_sessions_are_listed),
                WITH_HOST(test_a_session_has_several_names),
                WITH_HOST(test_names_that_lead_nowhere),
                WITH_HOST(test_stop_wants_one_way_of_naming),
                WITH_HOST(test_last_lines_of_an_ended_session),
                WITH_HOST(test_servers_and_metrics),
                WITH_HOST(test_moves_are_told),
                WITH_HOST(test_strangers_see_less),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
