/* The private folder of a session: STATE/workspaces/ID with work/, tmp/ and config.json. */
#pragma once

#include "common/ipc.h"

struct account;
struct workspaces;

struct workspace_paths {
        char *work;        /* absolute; cwd and ${envmux:workspace} */
        char *tmp;         /* TMPDIR */
        char *config_file; /* NULL when there is no config */
};
void workspace_paths_done(struct workspace_paths *paths);

/* Makes STATE/workspaces and STATE/trash (0700; the first one can be passed through where we can give
 * workspaces away). Removal runs in short-lived child processes, one
 * at a time, never in the loop. */
int workspaces_new(struct event_base *base, const char *state_dir, struct workspaces **ret);
struct workspaces *workspaces_free(struct workspaces *workspaces);
DEFINE_CLEANUP(struct workspaces, workspaces_free)

/* Makes the folder fresh (what may be left under this id is trashed first). config may be NULL. All of it belongs to
 * owner; NULL: to us. */
int workspace_make(struct workspaces *workspaces, const char *id, const char *config, const struct account *owner,
                   struct workspace_paths *ret);

/* The paths of an existing one. */
int workspace_find(struct workspaces *workspaces, const char *id, struct workspace_paths *ret);

/* Moves it aside at once (one rename) and deletes it soon. 0 also when it was not there. */
int workspace_discard(struct workspaces *workspaces, const char *id);

/* Discards every workspace for which is_known says no: after a restart. */
int workspaces_discard_unknown(struct workspaces *workspaces, bool (*is_known)(const char *id, void *userdata), void *userdata);

/* The remover child at work, or 0: so that nobody takes it for a stray. Its exit is told by SIGCHLD:
 * the supervisor calls workspaces_on_child_exit for every pid that it reaps. */
pid_t workspaces_remover_pid(const struct workspaces *workspaces);
void workspaces_on_child_exit(struct workspaces *workspaces, pid_t pid);

/* Removes what waits in the trash before returning: for the orderly stop, after the sessions ended. */
int workspaces_flush(struct workspaces *workspaces);
