/* A session described for people and programs: the same object for the control socket's Show and
 * List and for GET /SERVER/s/KEY. */
#pragma once

#include "common/json_scan.h"
#include "supervisor/session.h"

/* Appends
 * {"id","server","key","kind","principal","generation","state","sub_state","since","since_usec",
 *  "created_usec","url","backend_pid","command","worker_pid","tracking","in_flight","clients","requests",
 *  "bytes_in","bytes_out","bytes_buffered","idle_usec","idle_timeout_usec","lifetime_usec","seed",
 *  "labels","config","limits","principal_limits","server_limits","unenforced","workspace","aliases",
 *  "last_exit","last_lines","reason"}.
 * state is systemd's word, sub_state ours; since is RFC 3339 UTC; pids, seed, labels, config,
 * last_exit {"pid","code","status"|"signal"}, last_lines and reason are absent where there is nothing to
 * say. Works for tombstones too. */
void session_json_write(const struct session *session, struct json_writer *writer);

/* The same with what was last read of its usage, where anything was. */
void session_json_write_used(const struct session *session, struct json_writer *writer);
