/* The control socket as the commands use it: every failure is told to the user here. */
#pragma once

#include "common/varlink_client.h"
#include "ctl/ctl.h"

#include <limits.h>

/* The socket to use: control when given, else $XDG_RUNTIME_DIR/envmux/control when that exists, else
 * /run/envmux/control. -ENAMETOOLONG. */
int client_path(const char *control, char ret[static PATH_MAX]);

/* Connects. Returns CTL_OK, or the exit status after saying what to do. */
int client_open(const char *control, struct varlink_client **ret);

/* Calls METHOD of io.envmux.Control; parameters as for varlink_client_send. Returns CTL_OK with an answer
 * that is no error, or the exit status after saying why. */
int client_call(struct varlink_client *client, const char *method, struct json_writer *parameters,
                struct varlink_answer *ret);

/* The same in two steps and with "more": client_receive is called until the answer does not continue. */
int client_send(struct varlink_client *client, const char *method, struct json_writer *parameters);
int client_receive(struct varlink_client *client, struct varlink_answer *ret);

/* For who looks at an answer first: what client_receive makes of varlink_client_receive's r and *ret. */
int client_check(int r, const struct varlink_answer *answer);

/* client_open and client_call. *ret_client, which the answer belongs to, is the caller's in every case. */
int client_ask(const char *control, const char *method, struct json_writer *parameters,
               struct varlink_client **ret_client, struct varlink_answer *ret);

/* The whole of a command that takes no arguments beside --json and --control and asks one question:
 * print gets the answer's parameters and returns an exit status; json_member is what --json prints. */
int client_question(const struct command *self, int argc, char **argv, const char *method, const char *json_member,
                    int (*print)(struct json_object *parameters));

/* Prints member of the answer's parameters (NULL: all of them) and a newline, byte by byte as they came. */
void client_print_json(const struct varlink_answer *answer, const char *member);
