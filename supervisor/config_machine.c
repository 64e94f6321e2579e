#include "supervisor/config_machine.h"

#include "common/fd.h"
#include "supervisor/cgroup.h"
#include "supervisor/config_report.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>

/* A session is a worker and a backend; npx, uvx and shells stay as one more. */
#define PROCESSES_PER_SESSION 2
/* The supervisor: the worker's connection, its pidfd, and the places of its cgroup while it starts. */
#define FILES_PER_SESSION 2
#define FILES_BESIDE 128
/* Less than any server of a scripting language takes: below it the maximum cannot be reached. */
#define MEMORY_PER_SESSION (UINT64_C(16) << 20)

/* The number in a small file; UINT64_MAX for "max" and for what is not there. */
static uint64_t read_number(const char *path)
{
        _cleanup_free_ char *text = NULL;
        char *end;

        if (fd_read_file_at(AT_FDCWD, path, 4096, &text, NULL) < 0)
                return UINT64_MAX;

        unsigned long long number = strtoull(text, &end, 10);

        return end == text ? UINT64_MAX : number;
}

/* The smallest number in a file of a cgroup's folder or of any above it. */
static uint64_t read_cgroup(const char *mount, const char *cgroup, const char *file)
{
        uint64_t smallest = UINT64_MAX;
        _cleanup_free_ char *left = strdup(cgroup);

        while (left) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s%s/%s", mount, left, file) < 0) {
                        path = NULL;
                        break;
                }

                uint64_t number = read_number(path);
                char *slash = strrchr(left, '/');

                smallest = MIN_OF(smallest, number);
                if (!slash)
                        break;
                *slash = '\0';
        }
        return smallest;
}

/* Our cgroups: version 2 (alone or beside version 1), and version 1's pids and memory. */
static void read_cgroups(uint64_t *pids, uint64_t *memory)
{
        _cleanup_free_ char *list = NULL;
        char *rest, *line;

        if (fd_read_file_at(AT_FDCWD, "/proc/self/cgroup", 64 * 1024, &list, NULL) < 0)
                return;
        for (rest = list; (line = strsep(&rest, "\n"));) {
                char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;

                if (!path)
                        continue;
                controllers++;
                *path++ = '\0';
                if (!*controllers) {
                        *pids = MIN_OF(*pids, read_cgroup("/sys/fs/cgroup", path, "pids.max"));
                        *memory = MIN_OF(*memory, read_cgroup("/sys/fs/cgroup", path, "memory.max"));
                } else if (streq(controllers, "pids")) {
                        *pids = MIN_OF(*pids, read_cgroup("/sys/fs/cgroup/pids", path, "pids.max"));
                } else if (streq(controllers, "memory")) {
                        *memory = MIN_OF(*memory, read_cgroup("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"));
                }
        }
}

static uint64_t read_rlimit(int resource)
{
        struct rlimit limit;

        if (getrlimit((__rlimit_resource_t) resource, &limit) < 0 || limit.rlim_max == RLIM_INFINITY)
                return UINT64_MAX;
        return limit.rlim_max;
}

static void lower(struct config_machine *machine, uint64_t number, const char *limit)
{
        if (number >= machine->processes)
                return;
        machine->processes = number;
        machine->processes_limit = limit;
}

void config_machine_read(struct config_machine *ret)
{
        struct config_machine machine = { .processes = UINT64_MAX, .processes_limit = "" };
        uint64_t pids = UINT64_MAX, memory = UINT64_MAX;
        _cleanup_free_ char *controllers = NULL;
        long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

        read_cgroups(&pids, &memory);
        lower(&machine, read_number("/proc/sys/kernel/pid_max"), "kernel.pid_max");
        lower(&machine, read_number("/proc/sys/kernel/threads-max"), "kernel.threads-max");
        if (geteuid() != 0) /* root is exempt */
                lower(&machine, read_rlimit(RLIMIT_NPROC), "the limit on processes (ulimit -u)");
        lower(&machine, pids, "pids.max of the cgroup");
        machine.files = read_rlimit(RLIMIT_NOFILE);
        machine.memory_bytes = pages > 0 && page > 0 ? (uint64_t) pages * (uint64_t) page : UINT64_MAX;
        machine.memory_bytes = MIN_OF(machine.memory_bytes, memory);
        if (cgroup_machine_controllers(&controllers) >= 0)
                machine.controllers = limit_controllers_parse(controllers);
        *ret = machine;
}

/* Sessions that may live at the same time. */
static uint64_t count_sessions(const struct config *config)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < config->n_servers; i++)
                sum += config->servers[i]->sessions_max;
        return MIN_OF(sum, (uint64_t) config->sessions_max);
}

/* The first server that has a limit without effect stands for all. */
static void judge_limits(unsigned controllers, const struct config *config, struct config_report *report)
{
        unsigned told = 0;

        for (size_t i = 0; i < config->n_servers; i++) {
                const struct server_config *server = config->servers[i];
                unsigned set = limits_set(&server->session_limits) | limits_set(&server->principal_limits) |
                               limits_set(&server->server_limits);

                for (unsigned kind = 0; kind < LIMIT__MAX; kind++) {
                        unsigned controller = limit_controller((enum limit_kind) kind);
                        struct config_at top = { .report = report };
                        struct config_at at = config_at_member(&top, limit_to_string((enum limit_kind) kind));

                        if (!(set & 1u << kind) || told & 1u << kind || controllers & controller)
                                continue;
                        config_report_note(&at, "has no effect on this machine: its cgroups have no controller \"%s\"",
                                           limit_controller_name((enum limit_controller) controller));
                        told |= 1u << kind;
                }
        }
}

void config_machine_judge(const struct config_machine *machine, const struct config *config,
                          struct config_report *report)
{
        struct config_at top = { .report = report };
        struct config_at own = config_at_member(&top, "envmux");
        struct config_at sessions_at = config_at_member(&own, "max_sessions");
        struct config_at clients_at = config_at_member(&own, "max_clients");
        unsigned long long sessions = count_sessions(config);
        unsigned long long processes = sessions * PROCESSES_PER_SESSION + config->routers + 2;
        unsigned long long files = sessions * FILES_PER_SESSION + FILES_BESIDE;
        unsigned long long client_files = config->clients_max * 2ull + FILES_BESIDE;
        unsigned long long memory = sessions > 0 ? machine->memory_bytes / sessions : UINT64_MAX;

        if (processes > machine->processes)
                config_report_note(&sessions_at, "%llu sessions need at least %llu processes, but %s is %llu", sessions,
                                   processes, machine->processes_limit, (unsigned long long) machine->processes);
        if (files > machine->files)
                config_report_note(&sessions_at, "%llu sessions need %llu open files in the supervisor, but the limit "
                                                 "(ulimit -Hn) is %llu",
                                   sessions, files, (unsigned long long) machine->files);
        if (client_files > machine->files)
                config_report_note(&clients_at, "%u clients need %llu open files in each router, but the limit "
                                                "(ulimit -Hn) is %llu",
                                   config->clients_max, client_files, (unsigned long long) machine->files);
        if (memory < MEMORY_PER_SESSION)
                config_report_note(&sessions_at, "%llu sessions would have %llu MiB of memory each; a server written "
                                                 "in Python or JavaScript takes 50 to 100 MiB",
                                   sessions, memory >> 20);
        judge_limits(machine->controllers, config, report);
}

void config_check_machine(const struct config *config, struct config_report *report)
{
        struct config_machine machine;

        config_machine_read(&machine);
        config_machine_judge(&machine, config, report);
}
