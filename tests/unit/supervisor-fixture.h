/* A supervisor without processes for tests of its logic: the modules that act (lifecycle, prepare) are
 * replaced by ones that remember what they were asked. */
#pragma once

#include "supervisor/lifecycle.h"
#include "supervisor/supervisor.h"

#define ACTIONS_MAX 64

struct fixture {
        struct supervisor supervisor;
        struct config config;
        struct server_config lake, pond;
        struct server_config *servers[2];

        enum session_action actions[ACTIONS_MAX]; /* in order */
        struct session *acted_on[ACTIONS_MAX];
        size_t n_actions;
        unsigned n_moves;                         /* told to observers */
        enum session_state last_old;

        struct prepare *preparing;                /* the one prepare command that runs, or NULL */
        unsigned n_prepared;
        bool is_marked;
        unsigned n_created;                       /* by lifecycle_create */
        unsigned n_eras_pushed;
};

extern struct fixture *fixture; /* of the running test */

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* A session of server in the table, in state QUEUED. */
struct session *fixture_session(const char *server, const char *principal, enum key_kind kind, const char *key);

/* Runs what is due in the loop. */
void fixture_turn(void);

/* Ends the prepare command; failure_json NULL: it succeeded. */
void fixture_prepared(const char *failure_json);
