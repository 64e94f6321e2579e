/* The control socket: Varlink service io.envmux.Control (io.envmux.Control.varlink says all of it). */
#pragma once

#include "common/macro.h"

struct control;
struct supervisor;

/* Serves on listen_fd (varlink_listen), which stays the caller's. Observes the supervisor's sessions. */
int control_new(struct supervisor *supervisor, int listen_fd, struct control **ret);

/* Ends every call; clients see the end of their connection. */
struct control *control_free(struct control *control);
DEFINE_CLEANUP(struct control, control_free)
