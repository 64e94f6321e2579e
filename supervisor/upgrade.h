/* The supervisor as another file than the one that runs: whether there is one, whether it would start, and
 * becoming it. To everybody else that is a restart, but for the pid: what lives is found again through its
 * records, and what this process alone knew is gone. */
#pragma once

#include "common/macro.h"

struct supervisor;
struct upgrade_check;

/* Whether the file that we were started from is another one by now. False also when there is none. */
bool upgrade_is_due(const struct supervisor *supervisor);

/* Runs the new file with --check and our configuration. on_done, from the loop: why_not is NULL when it is
 * fine, else a sentence's part that names the file. The check is then to be freed. */
int upgrade_check_new(struct supervisor *supervisor, void (*on_done)(const char *why_not, void *userdata),
                      void *userdata, struct upgrade_check **ret);
/* Kills it if it still runs. */
struct upgrade_check *upgrade_check_free(struct upgrade_check *check);
DEFINE_CLEANUP(struct upgrade_check, upgrade_check_free)

/* Signals that ask for something stay pending from now on: who takes our place gets them. */
void upgrade_hold_signals(void);
/* They come through again: at each start, when there is who handles them. */
void upgrade_release_signals(void);

/* Becomes the new file, with our arguments, sockets and service manager. Does not return: where it fails this
 * process ends, and the service manager starts the next. Signals are held. */
_noreturn_ void upgrade_exec(struct supervisor *supervisor);
