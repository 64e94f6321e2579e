#include "common/reason.h"

#include "common/json_scan.h"
#include "common/mcp.h"

#include <signal.h>
#include <stdio.h>

/* A failure travels in one IPC frame, so what it quotes is cut: the newest lines, the start of each. */
#define LINES_MAX 20
#define LINE_BYTES_MAX 512
#define DETAIL_BYTES_MAX 1024
#define SIGNAL_NAME_SIZE 24
#define RPC_UNSUPPORTED_VERSION (-32022)

static void signal_name(int signal, char ret[static SIGNAL_NAME_SIZE])
{
        const char *abbreviation = sigabbrev_np(signal);

        if (abbreviation)
                snprintf(ret, SIGNAL_NAME_SIZE, "SIG%s", abbreviation);
        else if (signal >= SIGRTMIN && signal <= SIGRTMAX)
                snprintf(ret, SIGNAL_NAME_SIZE, "SIGRTMIN+%d", signal - SIGRTMIN);
        else
                snprintf(ret, SIGNAL_NAME_SIZE, "%d", signal);
}

static int signal_from_name(struct json_slice value)
{
        for (int signal = 1; signal <= SIGRTMAX; signal++) {
                char name[SIGNAL_NAME_SIZE];

                signal_name(signal, name);
                if (json_string_is(value, name))
                        return signal;
        }
        return 0;
}

static void write_cut(struct json_writer *w, const char *text, size_t size_max)
{
        json_writer_string_n(w, text, strnlen(text, size_max));
}

static void write_lines(struct json_writer *w, const char *const *lines)
{
        size_t n = 0;

        while (lines[n])
                n++;
        json_writer_text(w, ",\"stderr\":[");
        for (size_t i = n > LINES_MAX ? n - LINES_MAX : 0, first = i; i < n; i++) {
                if (i > first)
                        json_writer_text(w, ",");
                write_cut(w, lines[i], LINE_BYTES_MAX);
        }
        json_writer_text(w, "]");
}

static void write_failure(struct json_writer *w, const struct failure *f)
{
        json_writer_format(w, "{\"reason\":\"%s\",\"infra\":%s", reason_to_string(f->reason),
                           reason_is_infra(f->reason) ? "true" : "false");
        if (f->detail) {
                json_writer_text(w, ",\"detail\":");
                write_cut(w, f->detail, DETAIL_BYTES_MAX);
        }
        if (f->retry_after_sec > 0)
                json_writer_format(w, ",\"retry_after\":%u", f->retry_after_sec);
        if (f->has_exit && f->exit_signal > 0) {
                char name[SIGNAL_NAME_SIZE];

                signal_name(f->exit_signal, name);
                json_writer_format(w, ",\"signal\":\"%s\"", name);
        } else if (f->has_exit) {
                json_writer_format(w, ",\"exit_status\":%d", f->exit_code);
        }
        if (f->stderr_lines)
                write_lines(w, f->stderr_lines);
        json_writer_text(w, "}");
}

int failure_to_json(const struct failure *f, char **ret, size_t *ret_size)
{
        struct json_writer w = { .failed = false };

        write_failure(&w, f);
        return json_writer_finish(&w, ret, ret_size);
}

static void write_message(struct json_writer *w, const struct failure *f)
{
        _cleanup_free_ char *message = NULL;
        int detail_size = f->detail ? (int) strnlen(f->detail, DETAIL_BYTES_MAX) : 0;

        if (asprintf(&message, "%s%s%.*s", reason_text(f->reason), detail_size > 0 ? ": " : "", detail_size,
                     f->detail ? f->detail : "") < 0) {
                message = NULL;
                w->failed = true;
                return;
        }
        json_writer_string(w, message);
}

/* What the other side may speak instead. */
static void write_versions(struct json_writer *w, const struct failure *f)
{
        json_writer_text(w, ",\"supported\":[\"" MCP_MODERN "\"]");
        if (f->requested) {
                json_writer_text(w, ",\"requested\":");
                json_writer_string(w, f->requested);
        }
}

int failure_to_jsonrpc(const struct failure *f, const char *id_token, size_t id_size, char **ret, size_t *ret_size)
{
        struct json_writer w = { .failed = false };

        json_writer_text(&w, "{\"jsonrpc\":\"2.0\",\"id\":");
        json_writer_raw(&w, id_token ? id_token : "null", id_token ? id_size : strlen("null"));
        json_writer_format(&w, ",\"error\":{\"code\":%d,\"message\":", reason_rpc_code(f->reason));
        write_message(&w, f);
        json_writer_text(&w, ",\"data\":{\"envmux\":");
        write_failure(&w, f);
        if (reason_rpc_code(f->reason) == RPC_UNSUPPORTED_VERSION)
                write_versions(&w, f);
        json_writer_text(&w, "}}}");
        return json_writer_finish(&w, ret, ret_size);
}

struct failure_owned {
        struct failure failure;
        char *detail;
        char *lines[LINES_MAX + 1];
};

/* A decoded copy; 0 with NULL when value is not a string that C can hold. */
static int string_dup(struct json_slice value, char **ret)
{
        _cleanup_free_ char *text = malloc(value.size + 1);

        if (!text)
                return -ENOMEM;
        *ret = json_string_copy(value, text, value.size + 1) < 0 ? NULL : TAKE_PTR(text);
        return 0;
}

static int read_lines(struct json_slice array, struct failure_owned *owned)
{
        struct json_slice line;
        size_t cursor = 0, n = 0;

        while (n < LINES_MAX && json_next(array, &cursor, NULL, &line) > 0) {
                int r = string_dup(line, &owned->lines[n]);

                if (r < 0)
                        return r;
                if (owned->lines[n])
                        n++;
        }
        owned->failure.stderr_lines = (const char *const *) owned->lines;
        return 0;
}

static int read_reason(struct json_slice object, enum reason *ret)
{
        struct json_slice value;
        char word[64];

        if (json_get(object, "reason", &value) < 0 || json_string_copy(value, word, sizeof(word)) < 0)
                return -EBADMSG;
        enum reason reason = reason_from_string(word);

        /* A sibling of another version may know reasons that this one does not. */
        *ret = reason == REASON__INVALID ? REASON_internal : reason;
        return 0;
}

static void read_numbers(struct json_slice object, struct failure *f)
{
        struct json_slice value;
        int64_t n;

        if (json_get(object, "retry_after", &value) >= 0 && json_integer(value, &n) >= 0 && n > 0 && n <= INT32_MAX)
                f->retry_after_sec = (unsigned) n;
        if (json_get(object, "signal", &value) >= 0)
                f->exit_signal = signal_from_name(value);
        else if (json_get(object, "exit_status", &value) >= 0 && json_integer(value, &n) >= 0 && n >= 0 && n <= 255)
                f->exit_code = (int) n;
        else
                return;
        f->has_exit = true;
}

int failure_from_json(const char *json, size_t size, struct failure_owned **ret)
{
        _cleanup_(failure_owned_freep) struct failure_owned *owned = NULL;
        struct json_slice object, value;
        int r = json_validate(json, size, &object);

        if (r < 0)
                return r;
        owned = calloc(1, sizeof(*owned));
        if (!owned)
                return -ENOMEM;
        r = read_reason(object, &owned->failure.reason);
        if (r < 0)
                return r;
        read_numbers(object, &owned->failure);
        if (json_get(object, "detail", &value) >= 0)
                r = string_dup(value, &owned->detail);
        if (r >= 0 && json_get(object, "stderr", &value) >= 0)
                r = read_lines(value, owned);
        if (r < 0)
                return r;
        owned->failure.detail = owned->detail;
        *ret = TAKE_PTR(owned);
        return 0;
}

const struct failure *failure_get(const struct failure_owned *owned)
{
        return &owned->failure;
}

struct failure_owned *failure_owned_free(struct failure_owned *owned)
{
        if (!owned)
                return NULL;
        free(owned->detail);
        for (size_t i = 0; i < LINES_MAX; i++)
                free(owned->lines[i]);
        free(owned);
        return NULL;
}

int failure_to_plain(const struct failure *f, char **ret, size_t *ret_size)
{
        _cleanup_json_writer_ struct json_writer w = {};
        _cleanup_free_ char *data = NULL, *sentence = NULL;
        size_t data_size;
        int r = failure_to_json(f, &data, &data_size);

        if (r < 0)
                return r;
        if (asprintf(&sentence, "%s%s%s", reason_text(f->reason), f->detail ? ": " : "", f->detail ?: "") < 0) {
                sentence = NULL;
                return -ENOMEM;
        }
        json_writer_text(&w, "{\"error\":");
        json_writer_string(&w, sentence);
        json_writer_text(&w, ",\"envmux\":");
        json_writer_raw(&w, data, data_size);
        json_writer_text(&w, "}");
        return json_writer_finish(&w, ret, ret_size);
}
