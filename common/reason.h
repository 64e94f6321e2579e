/* The enumerated reasons of envmux's own errors, and the error bodies made of them. */
#pragma once

#include "common/macro.h"

enum reason {
#define REASON(name, infra, http_status, rpc_code, text) REASON_##name,
#include "common/reason.def"
#undef REASON
        REASON__MAX,
        REASON__INVALID = -EINVAL,
};

const char *reason_to_string(enum reason reason); /* NULL when there is no such reason */
enum reason reason_from_string(const char *word); /* REASON__INVALID when there is no such word */
bool reason_is_infra(enum reason reason);
unsigned reason_http_status(enum reason reason);
/* The status for a JSON-RPC request whose id is known. What MCP gives a status of its own (400, 404, 406, …)
 * keeps it; our failures and refusals (503, 409) are told in band: as HTTP errors they would break the
 * official clients' connection instead of failing one call. */
unsigned reason_request_status(enum reason reason);
int reason_rpc_code(enum reason reason);
const char *reason_text(enum reason reason);

/* What is known about one failure. Strings are borrowed; NULL and 0 mean "nothing to say". */
struct failure {
        enum reason reason;
        const char *detail;            /* appended to the reason's sentence */
        const char *requested;         /* the revision that was asked for, where the reason is that it is not spoken */
        unsigned retry_after_sec;      /* 0: no retry_after member */
        bool has_exit;                 /* exit_code or exit_signal below is meaningful */
        int exit_code;                 /* of the backend, when exit_signal is 0 */
        int exit_signal;               /* signal number, 0: it exited by itself */
        const char *const *stderr_lines; /* NULL-terminated, oldest first; may be NULL */
};

/* A JSON-RPC error response (JSON-RPC 2.0 §5.1) for f:
 * {"jsonrpc":"2.0","id":ID,"error":{"code":…,"message":…,"data":{"envmux":{"reason":…,"infra":…,…}}}}
 * With the code of UnsupportedProtocolVersionError, data also has `supported` and `requested` (MCP 2026-07-28,
 * "Protocol Version Negotiation"). id_token holds the raw bytes of the request's id, NULL makes it null. *ret is
 * the caller's. */
int failure_to_jsonrpc(const struct failure *f, const char *id_token, size_t id_size, char **ret, size_t *ret_size);

/* The error body of what is no JSON-RPC: {"error": sentence, "envmux": {"reason": …}}. */
int failure_to_plain(const struct failure *f, char **ret, size_t *ret_size);

/* The object of error.data.envmux alone, as travels in IPC blobs; the reverse is failure_from_json:
 * reason, infra, detail, retry_after, exit_status or signal ("SIGKILL"), stderr. Members with nothing to
 * say are absent. It quotes the newest 20 lines of standard error, 512 bytes each, and 1024 of detail, so
 * that it always fits an IPC blob. */
int failure_to_json(const struct failure *f, char **ret, size_t *ret_size);

/* A failure read back from failure_to_json's bytes; owns its strings. -EBADMSG, -ELOOP: not such bytes.
 * A reason that this version does not know becomes `internal`. */
struct failure_owned;
int failure_from_json(const char *json, size_t size, struct failure_owned **ret);
const struct failure *failure_get(const struct failure_owned *owned);
struct failure_owned *failure_owned_free(struct failure_owned *owned);
DEFINE_CLEANUP(struct failure_owned, failure_owned_free)
