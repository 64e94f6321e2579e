/* Entries for the systemd journal, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram each.
 *
 * Nothing here ever waits. Where the journal does not keep up, or is not there, entries are lost, counted, and
 * the count is an entry of its own as soon as one gets through. libsystemd's writer would wait. */
#pragma once

#include "common/macro.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define JOURNAL_FIELDS_MAX 16

struct journal;

struct journal_field {
        const char *name;   /* "MESSAGE"; NULL: the field is left out */
        const char *value;  /* any bytes; NULL: the field is left out */
        size_t size;
};

static inline struct journal_field journal_text(const char *name, const char *text)
{
        return (struct journal_field) { name, text, text ? strlen(text) : 0 };
}

/* path is kept, not copied. identifier likewise: SYSLOG_IDENTIFIER of the entry that tells of lost ones. It is
 * no error when nobody listens there. */
int journal_new(const char *path, const char *identifier, struct journal **ret);
struct journal *journal_free(struct journal *journal);
DEFINE_CLEANUP(struct journal, journal_free)

/* Sends one entry of at most JOURNAL_FIELDS_MAX fields. -E2BIG: more than those. Any other negative errno: it is
 * lost, and counted. */
int journal_send(struct journal *journal, const struct journal_field *fields, size_t n);

/* As journal_send, but -EAGAIN means that the entry can be offered again once journal_fd is writable, and is not lost. */
int journal_offer(struct journal *journal, const struct journal_field *fields, size_t n);
/* To wait for; -1: nobody listens. Another one after each journal_offer. */
int journal_fd(const struct journal *journal);
/* n entries were lost before they could be sent. */
void journal_count_lost(struct journal *journal, uint64_t n);

/* Entries lost since the beginning. */
uint64_t journal_lost(const struct journal *journal);

/* "<3>text": the priority of a line as sd-daemon(3) writes it, and the text without it; else fallback. */
int journal_priority(const char **text, size_t *size, int fallback);
