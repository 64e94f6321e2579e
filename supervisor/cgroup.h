/* Folders of a cgroup v2 tree (kernel documentation, cgroup-v2): making, killing, asking, removing. */
#pragma once

#include "common/macro.h"

/* Absolute path of our own cgroup in the mounted v2 tree. -ENOENT: none is mounted. *ret is the caller's. */
int cgroup_own_path(char **ret);

/* Absolute path of relative seen from our own cgroup; each leading "../" is one level less. Text is joined, not
 * folders, so that what is said of it can be looked up. -EINVAL: ".." elsewhere. *ret is the caller's. */
int cgroup_beside_own(const char *relative, char **ret);

/* The controllers that the top of that tree has, as text; "" without one. *ret is the caller's. */
int cgroup_machine_controllers(char **ret);

/* Folders beside those of servers: the routers', and the one that keeps the tree where a service manager made it. */
#define CGROUP_ROUTERS "routers"
#define CGROUP_HOLD "hold"

/* A name as one path component: bytes outside [A-Za-z0-9_-] become %xx, so that no name is a
 * control file's; "" becomes "-", and what is that, CGROUP_ROUTERS or CGROUP_HOLD is escaped whole. -ENAMETOOLONG. */
int cgroup_name_escape(const char *name, char *dst, size_t dst_size);
/* The reverse. -EINVAL: not an escaped name. */
int cgroup_name_unescape(const char *escaped, char *dst, size_t dst_size);

/* The functions below take a path relative to root_fd. */

/* Makes it and its parents. -EEXIST: it was there and must_be_new. */
int cgroup_make(int root_fd, const char *path, bool must_be_new);

/* Calls each with the name of every direct sub-cgroup; stops at and returns its first non-zero answer. */
int cgroup_each_child(int root_fd, const char *path, int (*each)(const char *name, void *userdata), void *userdata);

/* 1 when a process lives in it or below, 0 when not, negative errno. */
int cgroup_is_populated(int root_fd, const char *path);

/* Reads and writes one of its control files. Writing never waits for memory to be reclaimed where the kernel lets
 * one choose (memory.max opened with O_NONBLOCK). *ret is the caller's. */
int cgroup_read(int root_fd, const char *path, const char *file, char **ret);
int cgroup_write(int root_fd, const char *path, const char *file, const char *value);

/* Kills everything in it and below (cgroup.kill). */
int cgroup_kill(int root_fd, const char *path);

/* Removes it with its empty sub-cgroups. -EBUSY: a process is left. */
int cgroup_remove(int root_fd, const char *path);
