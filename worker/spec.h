/* What a worker is told: the JSON object on fd 4 (ARCHITECTURE.md, "The worker's spec"). */
#pragma once

#include "common/ipc.h"
#include "common/template.h"

#define SPEC_BYTES_MAX (4u * 1024 * 1024)

struct spec {
        char id[IPC_ID_SIZE];
        char server[IPC_SERVER_SIZE];
        char key[IPC_KEY_SIZE];
        char token[IPC_TOKEN_SIZE];
        enum key_kind kind;
        uint64_t generation;
        enum transport transport;
        bool uses_socket;
        char *http_path;
        char *command;                 /* absolute */
        char **args;                   /* compiled templates, without argv[0], NULL-terminated */
        char **env;                    /* compiled templates "NAME=VALUE", NULL-terminated */
        char *cwd;                     /* compiled template; NULL: the workspace */
        char *values[TEMPLATE__MAX];   /* NULL where the session has none */
        char *tmp;                     /* TMPDIR of the backend; may be NULL */
        char *config;                  /* the session's config object, its bytes as they came; may be NULL */
        enum attach_policy attach;
        bool awaits_request;           /* READY is the first protocol answer, not the exec */
        bool is_managed;               /* made by PUT: a client's DELETE only lets go of it */
        bool revives;                  /* a fresh backend may follow this one when it was idle: its clients are kept */
        char *revive;                  /* what this one follows with (worker/revive.h); may be NULL */
        usec_t idle_usec;              /* 0: never */
        usec_t connection_usec, retry_usec; /* of streams that can be resumed; connection_usec 0: no end */
        usec_t start_usec, request_usec, drain_usec, rung_usec;
        char *memory_limit;            /* of the backend, as configured; NULL: none */
        uint64_t message_bytes_max, buffer_bytes_max, log_bytes_max;
};

/* Parses text. -EINVAL with a sentence in *ret_why (the caller's) when a member is missing or has the
 * wrong type. Unknown members are ignored: the supervisor may be newer. */
int spec_parse(const char *text, size_t size, struct spec **ret, char **ret_why);

/* spec_parse of everything that fd holds, from its start. */
int spec_read(int fd, struct spec **ret, char **ret_why);

struct spec *spec_free(struct spec *spec);

/* False for a session whose key its clients have in common, or that was made without one: it waits for the next
 * client. */
bool spec_ends_with_its_clients(const struct spec *spec);
DEFINE_CLEANUP(struct spec, spec_free)
