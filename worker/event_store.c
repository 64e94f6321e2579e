#include "worker/event_store.h"

#include <stdio.h>
#include <sys/random.h>


struct event_log {
        TAILQ_ENTRY(event_log) entry;
        struct event_store *store;
        uint64_t name;                        /* random */
        STAILQ_HEAD(, log_event) events;      /* numbers without gaps, up to newest */
        struct log_event *unsent;             /* the first of those, NULL: none */
        uint64_t newest;
        uint64_t lost;                        /* up to this number nothing is kept */
        uint64_t dropped;                     /* of those that were lost, never sent */
        size_t unsent_bytes;
        bool is_at_rest;
        void (*on_evict)(void *owner);
        void *owner;
};

struct event_store {
        TAILQ_HEAD(log_list, event_log) logs; /* those at rest at the end, the latest last */
        size_t bytes, bytes_max;
        size_t unsent_bytes; /* of those that are not at rest */
        uint64_t newest_serial;
};

int event_store_new(size_t bytes_max, struct event_store **ret)
{
        struct event_store *store = calloc(1, sizeof(*store));

        if (!store)
                return -ENOMEM;
        TAILQ_INIT(&store->logs);
        store->bytes_max = bytes_max;
        *ret = store;
        return 0;
}

struct event_store *event_store_free(struct event_store *store)
{
        if (!store)
                return NULL;
        assert(TAILQ_EMPTY(&store->logs));
        free(store);
        return NULL;
}

size_t event_store_bytes(const struct event_store *store)
{
        return store->bytes;
}

int event_log_new(struct event_store *store, void (*on_evict)(void *owner), void *owner, struct event_log **ret)
{
        struct event_log *log = calloc(1, sizeof(*log));

        if (!log)
                return -ENOMEM;
        if (getrandom(&log->name, sizeof(log->name), 0) != sizeof(log->name)) {
                free(log);
                return -EIO;
        }
        log->store = store;
        STAILQ_INIT(&log->events);
        log->on_evict = on_evict;
        log->owner = owner;
        TAILQ_INSERT_HEAD(&store->logs, log, entry);
        *ret = log;
        return 0;
}

static size_t cost(size_t size)
{
        return sizeof(struct log_event) + size;
}

static void drop_first(struct event_log *log)
{
        struct log_event *event = STAILQ_FIRST(&log->events);

        STAILQ_REMOVE_HEAD(&log->events, entry);
        if (event == log->unsent)
                event_log_sent(log);
        log->lost = event->number;
        log->store->bytes -= cost(event->size);
        free(event);
}

struct event_log *event_log_free(struct event_log *log)
{
        if (!log)
                return NULL;
        while (!STAILQ_EMPTY(&log->events))
                drop_first(log);
        TAILQ_REMOVE(&log->store->logs, log, entry);
        free(log);
        return NULL;
}

struct event_log *event_store_next(const struct event_store *store, const struct event_log *after)
{
        return after ? TAILQ_NEXT(after, entry) : TAILQ_FIRST(&store->logs);
}

void *event_log_owner(const struct event_log *log)
{
        return log->owner;
}

/* ---- room ---- */

static struct event_log *oldest_at_rest(const struct event_store *store, bool is_sent)
{
        struct event_log *log;

        TAILQ_FOREACH(log, &store->logs, entry)
                if (log->is_at_rest && (!log->unsent || !is_sent))
                        return log;
        return NULL;
}

/* The log with the oldest event that was sent. */
static struct event_log *oldest_sent(const struct event_store *store)
{
        struct event_log *log, *found = NULL;
        uint64_t serial = UINT64_MAX;

        TAILQ_FOREACH(log, &store->logs, entry) {
                const struct log_event *first = STAILQ_FIRST(&log->events);

                if (first && first != log->unsent && first->serial < serial) {
                        serial = first->serial;
                        found = log;
                }
        }
        return found;
}

/* Gives up one thing: a stream that was heard to its end, then the past of one that goes on, then the
 * answer that nobody came back for. */
static bool make_room(struct event_store *store)
{
        struct event_log *log = oldest_at_rest(store, true), *sent;

        if (!log && (sent = oldest_sent(store))) {
                drop_first(sent);
                return true;
        }
        if (!log)
                log = oldest_at_rest(store, false);
        if (log)
                log->on_evict(log->owner);
        return log != NULL;
}

/* Whether bytes more may wait in the log to be sent. */
static bool is_allowed(const struct event_log *log, size_t bytes, enum event_weight weight)
{
        const struct event_store *store = log->store;
        size_t others = store->unsent_bytes - log->unsent_bytes;

        if (weight == EVENT_LAST_WORD)
                return true;
        if (weight == EVENT_RESPONSE)
                return others == 0 || others + bytes <= store->bytes_max;
        if (log->unsent_bytes > 0 && log->unsent_bytes + bytes > store->bytes_max / 2)
                return false;
        return store->unsent_bytes == 0 || store->unsent_bytes + bytes <= store->bytes_max;
}

static bool room_make(struct event_log *log, size_t bytes, enum event_weight weight)
{
        struct event_store *store = log->store;

        while (!is_allowed(log, bytes, weight)) {
                if (weight != EVENT_NEWS || !log->unsent)
                        return false;
                while (STAILQ_FIRST(&log->events) != log->unsent)
                        drop_first(log);
                drop_first(log);
                log->dropped++;
        }
        while (store->bytes + bytes > store->bytes_max && make_room(store))
                ;
        return true;
}

int event_log_add(struct event_log *log, const char *text, size_t size, enum event_weight weight)
{
        struct event_store *store = log->store;

        assert(!log->is_at_rest);
        if (!room_make(log, cost(size), weight))
                return -ENOBUFS;
        struct log_event *event = malloc(cost(size));

        if (!event)
                return -ENOMEM;
        memcpy(event->text, text, size);
        event->size = size;
        event->number = ++log->newest;
        event->serial = ++store->newest_serial;
        STAILQ_INSERT_TAIL(&log->events, event, entry);
        if (!log->unsent)
                log->unsent = event;
        store->bytes += cost(size);
        store->unsent_bytes += cost(size);
        log->unsent_bytes += cost(size);
        return 0;
}

void event_log_skip(struct event_log *log)
{
        while (!STAILQ_EMPTY(&log->events))
                drop_first(log);
        log->lost = ++log->newest;
}

uint64_t event_log_newest(const struct event_log *log)
{
        return log->newest;
}

uint64_t event_log_lost(const struct event_log *log)
{
        return log->lost;
}

uint64_t event_log_dropped(const struct event_log *log)
{
        return log->dropped;
}

/* ---- sending ---- */

const struct log_event *event_log_unsent(const struct event_log *log)
{
        return log->unsent;
}

void event_log_sent(struct event_log *log)
{
        size_t bytes = cost(log->unsent->size);

        log->unsent = STAILQ_NEXT(log->unsent, entry);
        log->unsent_bytes -= bytes;
        if (!log->is_at_rest)
                log->store->unsent_bytes -= bytes;
}

int event_log_rewind(struct event_log *log, uint64_t number)
{
        struct log_event *event;

        if (number < log->lost)
                return -ESTALE;
        event_log_wake(log);
        while (log->unsent)
                event_log_sent(log);
        STAILQ_FOREACH(event, &log->events, entry) {
                if (event->number <= number)
                        continue;
                if (!log->unsent)
                        log->unsent = event;
                log->unsent_bytes += cost(event->size);
                log->store->unsent_bytes += cost(event->size);
        }
        return 0;
}

void event_log_rest(struct event_log *log)
{
        if (log->is_at_rest)
                return;
        log->is_at_rest = true;
        log->store->unsent_bytes -= log->unsent_bytes;
        TAILQ_REMOVE(&log->store->logs, log, entry);
        TAILQ_INSERT_TAIL(&log->store->logs, log, entry);
}

void event_log_wake(struct event_log *log)
{
        if (!log->is_at_rest)
                return;
        log->is_at_rest = false;
        log->store->unsent_bytes += log->unsent_bytes;
        TAILQ_REMOVE(&log->store->logs, log, entry);
        TAILQ_INSERT_HEAD(&log->store->logs, log, entry);
}

/* ---- ids ---- */

void event_log_id(const struct event_log *log, uint64_t number, char ret[static EVENT_ID_SIZE])
{
        snprintf(ret, EVENT_ID_SIZE, "%016llx-%llu", (unsigned long long) log->name, (unsigned long long) number);
}

static struct event_log *log_by_name(const struct event_store *store, uint64_t name)
{
        struct event_log *log;

        TAILQ_FOREACH(log, &store->logs, entry)
                if (log->name == name)
                        return log;
        return NULL;
}

int event_store_find(const struct event_store *store, struct http_slice id, struct event_log **ret, uint64_t *ret_number)
{
        char text[EVENT_ID_SIZE], own[EVENT_ID_SIZE];

        if (id.size >= sizeof(text))
                return -ENOENT;
        memcpy(text, id.data, id.size);
        text[id.size] = '\0';
        char *end;
        uint64_t name = strtoull(text, &end, 16), number = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;
        struct event_log *log = log_by_name(store, name);

        if (!log || number > log->newest)
                return -ENOENT;
        event_log_id(log, number, own); /* no other spelling of it */
        if (!streq(own, text))
                return -ENOENT;
        *ret = log;
        *ret_number = number;
        return 0;
}
