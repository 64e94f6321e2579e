/* A blocking Varlink client: one connection, one call at a time. For commands, never for daemons. */
#pragma once

#include "common/json_scan.h"
#include "common/time_util.h"
#include "common/varlink.h"

struct varlink_client;

enum varlink_call_flags {
        VARLINK_MORE = 1 << 0,
        VARLINK_ONEWAY = 1 << 1,
};

/* What came back. error is NULL for an answer; all of it lives until the next receive. */
struct varlink_answer {
        const char *error;
        struct json_object *parameters; /* never NULL: an empty object when there were none */
        struct json_slice text;         /* of the parameters, as they came */
        bool continues;
};

/* Connects to the socket at path. Negative errno: -ENOENT, -ECONNREFUSED, -EACCES, … */
int varlink_client_connect(const char *path, struct varlink_client **ret);
struct varlink_client *varlink_client_free(struct varlink_client *client);
DEFINE_CLEANUP(struct varlink_client, varlink_client_free)

/* How long the next message may take; USEC_INFINITY: for ever (streams). Default 30 seconds. */
void varlink_client_set_timeout(struct varlink_client *client, usec_t timeout_usec);

/* Sends a call. parameters is emptied; NULL means {}. flags: enum varlink_call_flags. -EPIPE: the
 * service closed the connection (an error may be waiting: receive it). */
int varlink_client_send(struct varlink_client *client, const char *method, struct json_writer *parameters,
                        unsigned flags);

/* Waits for the next answer. -ECONNRESET: the service closed the connection; -ETIMEDOUT; -EBADMSG: what
 * came is not Varlink; -EMSGSIZE: it is longer than 64 MiB. */
int varlink_client_receive(struct varlink_client *client, struct varlink_answer *ret);

/* send and receive. */
int varlink_client_call(struct varlink_client *client, const char *method, struct json_writer *parameters,
                        struct varlink_answer *ret);
