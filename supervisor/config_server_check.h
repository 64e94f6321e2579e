/* What must hold between the keys of one entry, and what this machine lacks for it. */
#pragma once

#include "supervisor/config_report.h"

/* A backend that serves HTTP is told where to listen, in one way; sets uses_socket. uses is the mask of
 * what the entry's texts refer to. */
void config_server_check_listening(const struct config_at *entry, struct server_config *server, unsigned uses);

void config_server_check_buffers(const struct config_at *entry, const struct server_config *server);

/* What keys name and what requests without one get must not contradict each other. */
void config_server_check_keys(const struct config_at *entry, const struct server_config *server);

/* The user must be there, and we must be able to become it. inherited is what stands at the top, or NULL: the same
 * has been checked there. */
void config_server_check_user(const struct config_at *entry, const char *user, const char *inherited);

/* Notes, never mistakes: a command that is not found, an argument that is a file beside the
 * configuration while the backend starts elsewhere. -ENOMEM. */
int config_server_check_files(const struct config_at *entry, const struct server_config *server, const char *folder);
