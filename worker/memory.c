#include "worker/memory.h"

#include "common/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define EVENTS_BYTES_MAX 4096

/* From the nearest on. */
enum level { LEVEL_BACKEND, LEVEL_PRINCIPAL, LEVEL_SERVER, LEVEL__MAX };

/* Above the backend only what happened at the folder itself counts: the rest is other sessions. */
static const char *const files[LEVEL__MAX] = {
        [LEVEL_BACKEND] = "memory.events",
        [LEVEL_PRINCIPAL] = "../../memory.events.local",
        [LEVEL_SERVER] = "../../../memory.events.local",
};

struct memory {
        const char *limit;
        int fds[LEVEL__MAX];
        uint64_t hits[LEVEL__MAX]; /* how often each level's limit was hit before the backend began */
        char *sentence;
};

/* A counter of the file; 0 where it cannot be read. */
static uint64_t read_counter(int fd, const char *name)
{
        char text[EVENTS_BYTES_MAX + 1];
        ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : 0;
        char *save = NULL;

        text[MAX_OF(n, (ssize_t) 0)] = '\0';
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                size_t size = strlen(name);

                if (strncmp(line, name, size) == 0 && line[size] == ' ')
                        return strtoull(line + size + 1, NULL, 10);
        }
        return 0;
}

int memory_new(int folder_fd_consume, const char *limit, struct memory **ret)
{
        _cleanup_fd_ int folder_fd = folder_fd_consume;
        struct memory *memory = calloc(1, sizeof(*memory));

        if (!memory)
                return -ENOMEM;
        memory->limit = limit;
        for (size_t i = 0; i < LEVEL__MAX; i++) {
                memory->fds[i] = folder_fd >= 0 ? openat(folder_fd, files[i], O_RDONLY | O_CLOEXEC) : -1;
                memory->hits[i] = read_counter(memory->fds[i], "oom");
        }
        *ret = memory;
        return 0;
}

struct memory *memory_free(struct memory *memory)
{
        if (!memory)
                return NULL;
        for (size_t i = 0; i < LEVEL__MAX; i++)
                fd_close(memory->fds[i]);
        free(memory->sentence);
        free(memory);
        return NULL;
}

static int describe(const struct memory *memory, char **ret)
{
        static const char *const owners[] = {
                [LEVEL_BACKEND] = "limit of its own", [LEVEL_PRINCIPAL] = "limit of its user",
                [LEVEL_SERVER] = "limit of its server", [LEVEL__MAX] = "limit of the machine",
        };
        size_t level = 0;

        while (level < LEVEL__MAX && read_counter(memory->fds[level], "oom") <= memory->hits[level])
                level++;
        if (level == LEVEL_BACKEND && memory->limit)
                return asprintf(ret, "out of memory (limit %s)", memory->limit) < 0 ? -ENOMEM : 0;
        return asprintf(ret, "out of memory (%s)", owners[level]) < 0 ? -ENOMEM : 0;
}

bool memory_was_short(struct memory *memory, const char **ret)
{
        if (!memory->sentence) {
                if (read_counter(memory->fds[LEVEL_BACKEND], "oom_kill") == 0)
                        return false;
                if (describe(memory, &memory->sentence) < 0)
                        memory->sentence = NULL;
        }
        *ret = memory->sentence ? memory->sentence : "out of memory";
        return true;
}
