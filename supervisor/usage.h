/* What a session's backend uses, from the files of its cgroup (kernel documentation, cgroup-v2). Which of them there
 * are depends on the controllers: CPU time and pressure need none. */
#pragma once

#include "common/json_scan.h"

#define USAGE_UNKNOWN UINT64_MAX

/* Of the last ten seconds, in hundredths of a percent of the time: somebody waited, nobody went on. */
struct usage_pressure {
        uint64_t some, full;
};

struct usage {
        bool is_read;
        uint64_t memory_bytes, memory_peak_bytes, cpu_usec, tasks; /* USAGE_UNKNOWN: the kernel does not tell */
        struct usage_pressure cpu, memory, io;
};

/* Reads what there is in a cgroup's folder, path relative to root_fd. -ENOENT: there is no such folder. */
int usage_read(int root_fd, const char *path, struct usage *ret);

/* {"memory_bytes":…,"memory_peak_bytes":…,"cpu_usec":…,"tasks":…,"pressure":{"cpu":{"some":0.12,"full":0.00},…}},
 * without what is unknown. */
void usage_write(const struct usage *usage, struct json_writer *writer);
