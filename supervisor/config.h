/* The configuration: the mcpServers file people already have, checked whole, all mistakes at once
 * (envmux.json(5)). */
#pragma once

#include "common/ipc.h"
#include "common/template.h"
#include "supervisor/limits.h"

struct config_texts;
struct json_object;

/* What becomes of a session that was idle for its idle_timeout. */
enum idle_policy {
        ON_IDLE_END = 0,
        ON_IDLE_REVIVE = 1, /* it is dormant: its next request gets a fresh backend (supervisor/dormant.h) */
};

/* What may name a session of a server. */
struct server_keys {
        unsigned kinds;           /* bit mask 1 << enum key_kind */
        char meta[IPC_META_SIZE]; /* the _meta entry of KEY_META, "" without it */
};

/* User ids, both ends included. */
struct config_range {
        uint32_t first, last;
};

/* One entry of mcpServers / servers. Strings are compiled templates where marked (T). */
struct server_config {
        char *name;
        bool is_disabled;
        char *command;            /* as written: a path, or a name for PATH and then libexec */
        char **args;              /* (T) NULL-terminated, without argv[0] */
        char **env;               /* (T) NULL-terminated "NAME=VALUE" */
        char *cwd;                /* (T) NULL: the workspace */
        enum transport transport;
        bool uses_socket;         /* HTTP backend reached by ${envmux:socket} rather than ${envmux:port} */
        char *http_path;          /* MCP endpoint of an HTTP backend, default "/mcp" */
        char **prepare;           /* NULL or an argv run once per definition before its first start */
        struct server_keys keys;
        enum keyless_policy keyless; /* of stateless requests that name no key */
        enum attach_policy attach;
        enum backend_era era;     /* ERA_UNKNOWN: a probe finds it out (supervisor/era.h) */
        enum idle_policy on_idle;
        char *user;               /* who its backends run as: a name, a number, "root", "dynamic"; NULL: not said */
        unsigned sessions_max;
        usec_t connection_usec, retry_usec; /* of event streams that can be resumed */
        usec_t idle_usec, lifetime_usec, start_usec, request_usec, drain_usec, rung_usec;
        uint64_t message_bytes_max;  /* one line of the backend's stdout, one request body */
        uint64_t buffer_bytes_max;   /* all queues of one session together */
        uint64_t log_bytes_max;      /* ring of stderr lines */
        struct limits session_limits, principal_limits, server_limits; /* the kernel's: of each session, of all of a
                                                                        * principal's sessions, of all sessions */
        const char *file;         /* of the files of the configuration, the one that its entry is in */
        char *definition_hash;    /* hex; changes when anything that a backend is started with does */
};

struct config {
        struct config_texts *texts; /* what its files said */
        bool is_former;           /* these are of an earlier supervisor; what is on disk has mistakes */
        char **files;             /* what it was read from, NULL-terminated: the one that was named, then drop-ins */
        struct server_config **servers; /* enabled ones, in file order */
        size_t n_servers;
        const struct server_config *default_server; /* the only one, or "default"; may be NULL */
        unsigned sessions_max, starting_max, queue_max, routers, clients_max;
        usec_t queue_usec;        /* longest wait for a start slot */
        usec_t client_idle_usec;
        uint64_t body_bytes_max;
        uint32_t head_bytes_max;
        char *session_header;
        char **origins, **hosts;  /* allowed beyond loopback; NULL-terminated */
        unsigned tombstones_max;
        struct config_range dynamic_users; /* those of "dynamic" backends */
};

/* One mistake or note: "mcpServers.lake.envmux.seeed: unknown key (did you mean "seed"?)". */
struct config_note {
        bool is_mistake;
        char *file; /* "" before any is read */
        char *json_path;
        char *text;
};

struct config_report {
        struct config_note *notes;
        size_t n_notes, n_mistakes;
        const char *file; /* what is being read: notes from now on are about it; NULL: none */
};

/* Loads and checks the file at path, and the drop-ins of a folder unless that is NULL, against the
 * environment. 0 with *ret, the caller's; -EINVAL when the report holds mistakes (every one found, not
 * only the first); other negative errno when a file cannot be read (the report then says so too). The
 * report is filled in every case and freed by config_report_done; path must live as long as it. */
int config_load(const char *path, const char *drop_ins, struct config **ret, struct config_report *report);
/* The same from texts that were recalled, which are consumed. They held no mistakes when they were read: what has become
 * one since (a variable that is not set, a user who is gone) costs the server that it is in, not the others. */
int config_load_texts(struct config_texts *texts_consume, struct config **ret, struct config_report *report);
struct config *config_free(struct config *config);
DEFINE_CLEANUP(struct config, config_free)
void config_report_done(struct config_report *report);

/* Whether a client's request with a key of this kind may make a session of this server. */
bool config_may_create(const struct server_config *server, enum key_kind kind, const char *key);

const struct server_config *config_find(const struct config *config, const char *name);

/* Compares what the configuration may start with the machine's limits (pid_max, RLIMIT_NOFILE,
 * RLIMIT_NPROC, memory, cgroup pids.max); adds notes, never mistakes. */
void config_check_machine(const struct config *config, struct config_report *report);
