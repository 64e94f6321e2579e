/* Limits that the kernel enforces by cgroup: what they are called, how they are written (in the syntax of
 * systemd.resource-control(5)), and what the kernel is told (kernel documentation, cgroup-v2). */
#pragma once

#include "common/json_scan.h"

struct json_object;

enum limit_kind {
        LIMIT_MEMORY_MAX, /* "512M", "1.5G", "10%" of the machine's memory, "infinity" */
        LIMIT_TASKS_MAX,  /* 64, "10%" of what the machine allows, "infinity" */
        LIMIT_CPU_QUOTA,  /* "150%" of one CPU, "infinity" */
        LIMIT_CPU_WEIGHT, /* 1 to 10000, "idle" */
        LIMIT__MAX,
};

/* The controllers of cgroup v2 that are wanted; bits. */
enum limit_controller {
        CONTROLLER_CPU = 1 << 0,
        CONTROLLER_IO = 1 << 1,
        CONTROLLER_MEMORY = 1 << 2,
        CONTROLLER_PIDS = 1 << 3,
        CONTROLLER__ALL = (1 << 4) - 1,
};

#define LIMIT_TEXT_SIZE 32

struct limit {
        enum { LIMIT_UNSET, LIMIT_INFINITY, LIMIT_NUMBER, LIMIT_SHARE, LIMIT_IDLE } form;
        uint64_t number;            /* of LIMIT_SHARE: ten thousandths */
        char text[LIMIT_TEXT_SIZE]; /* as configured */
};

/* Those of one level: all zero is none. */
struct limits {
        struct limit of[LIMIT__MAX];
};

/* "memory_max", …; the reverse is -ENOENT for other names. */
const char *limit_to_string(enum limit_kind kind);
int limit_from_string(const char *name);
/* The controller's bit, and its name in cgroup.controllers. */
unsigned limit_controller(enum limit_kind kind);
const char *limit_controller_name(enum limit_controller controller);
/* The bits of the controllers that a list of names (cgroup.controllers) holds. */
unsigned limit_controllers_parse(const char *list);

/* -EINVAL: not of this kind's syntax; -ERANGE: out of its bounds. *ret is filled in on success only. */
int limit_parse(enum limit_kind kind, const char *text, struct limit *ret);
/* The same for a JSON value: a string, or a whole number of bytes, tasks or weight. */
int limit_from_json(enum limit_kind kind, struct json_object *value, struct limit *ret);

/* What the parser wants, for people: "must be …"; and for -ERANGE. */
const char *limit_syntax(enum limit_kind kind);
const char *limit_bounds(enum limit_kind kind);

/* A file of a cgroup's folder and what is to be written into it. */
struct limit_file {
        const char *name;
        char value[48];
};

#define LIMIT_FILES_MAX 2

/* Fills in what puts this limit in force, in order; returns how many. Where it is unset: what the kernel begins
 * with. Shares are computed from this machine. */
size_t limit_files(enum limit_kind kind, const struct limit *limit, struct limit_file ret[static LIMIT_FILES_MAX]);

/* Bits 1 << enum limit_kind of those that are set to something. */
unsigned limits_set(const struct limits *limits);

/* {"memory_max":"512M",…} of those that are set. */
void limits_write(const struct limits *limits, struct json_writer *writer);
