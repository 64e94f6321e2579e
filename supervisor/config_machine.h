/* What a machine allows, against what a configuration may start. */
#pragma once

#include "supervisor/config.h"

/* Limits in force for this process; UINT64_MAX where there is none. */
struct config_machine {
        uint64_t processes;    /* the smallest of pid_max, threads-max, RLIMIT_NPROC, pids.max of our cgroups */
        const char *processes_limit; /* which of them */
        uint64_t files;        /* RLIMIT_NOFILE, hard */
        uint64_t memory_bytes; /* the machine's, or memory.max of our cgroups */
        unsigned controllers;  /* of cgroups: bits of enum limit_controller */
};

void config_machine_read(struct config_machine *ret);

/* Adds notes for what will not fit. */
void config_machine_judge(const struct config_machine *machine, const struct config *config,
                          struct config_report *report);
