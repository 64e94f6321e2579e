#include "router/ask.h"

struct question {
        LIST_ENTRY(question) entry;
        struct asker_list askers;
        uint32_t cookie;
        enum ipc_type type;
        unsigned flags;
        bool is_sent;
        size_t body_size, blob_size;
        char bytes[]; /* body, then blob */
};

static void on_timer(evutil_socket_t fd, short what, void *userdata);

int asks_init(struct asks *a, struct event_base *base, const struct ask_ops *ops, void *userdata)
{
        TAILQ_INIT(&a->deadlines);
        for (size_t i = 0; i < ASK_BUCKETS; i++)
                LIST_INIT(&a->buckets[i]);
        a->ops = ops;
        a->userdata = userdata;
        a->timeout_usec = 60 * USEC_PER_SEC;
        a->timer = event_new(base, -1, 0, on_timer, a);
        return a->timer ? 0 : -ENOMEM;
}

void asks_set_timeout(struct asks *a, usec_t timeout_usec)
{
        a->timeout_usec = timeout_usec;
}

static struct question_list *bucket_of(struct asks *a, uint32_t cookie)
{
        return &a->buckets[cookie % ASK_BUCKETS];
}

static void question_free(struct question *q)
{
        LIST_REMOVE(q, entry);
        free(q);
}

/* Takes one asker off its question; the question goes with its last asker. */
static void asker_detach(struct asks *a, struct asker *asker)
{
        struct question *q = asker->question;

        TAILQ_REMOVE(&q->askers, asker, of_question);
        TAILQ_REMOVE(&a->deadlines, asker, of_deadline);
        asker->question = NULL;
        if (TAILQ_EMPTY(&q->askers))
                question_free(q);
}

void asks_done(struct asks *a)
{
        for (struct asker *asker; a->timer && (asker = TAILQ_FIRST(&a->deadlines));)
                asker_detach(a, asker);
        if (a->timer)
                event_free(a->timer);
        a->timer = NULL;
}

static void timer_set(struct asks *a)
{
        struct asker *first = TAILQ_FIRST(&a->deadlines);

        if (!first) {
                event_del(a->timer);
                return;
        }
        struct timeval tv = usec_to_timeval(usec_until(first->deadline_usec));

        event_add(a->timer, &tv);
}

/* Deadlines come in order unless the configured time was just shortened. */
static void deadline_insert(struct asks *a, struct asker *asker)
{
        struct asker *before = TAILQ_LAST(&a->deadlines, asker_list);

        while (before && before->deadline_usec > asker->deadline_usec)
                before = TAILQ_PREV(before, asker_list, of_deadline);
        if (before)
                TAILQ_INSERT_AFTER(&a->deadlines, before, asker, of_deadline);
        else
                TAILQ_INSERT_HEAD(&a->deadlines, asker, of_deadline);
        if (TAILQ_FIRST(&a->deadlines) == asker)
                timer_set(a);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
        struct asks *a = userdata;
        usec_t now = now_usec();

        for (struct asker *asker; (asker = TAILQ_FIRST(&a->deadlines)) && asker->deadline_usec <= now;) {
                asker_detach(a, asker);
                asker->on_answer(asker, NULL, false);
        }
        timer_set(a);
}

static void question_send(struct asks *a, struct question *q)
{
        q->is_sent = a->ops->send(q->type, q->cookie, q->bytes, q->body_size, q->bytes + q->body_size, q->blob_size,
                                  a->userdata) == 0;
}

static bool question_equals(const struct question *q, enum ipc_type type, const void *body, size_t body_size,
                            const void *blob, size_t blob_size)
{
        return q->flags & ASK_SHARED && q->type == type && q->body_size == body_size && q->blob_size == blob_size &&
               memcmp(q->bytes, body, body_size) == 0 &&
               (blob_size == 0 || memcmp(q->bytes + body_size, blob, blob_size) == 0);
}

/* A cheap digest, so that equal questions get cookies of one bucket and are found there. */
static uint32_t bucket_of_bytes(const unsigned char *bytes, size_t size)
{
        uint32_t digest = 2166136261u;

        for (size_t i = 0; i < size; i++)
                digest = (digest ^ bytes[i]) * 16777619u;
        return digest % ASK_BUCKETS;
}

static struct question *question_find(struct asks *a, uint32_t bucket, enum ipc_type type, const void *body,
                                      size_t body_size, const void *blob, size_t blob_size)
{
        struct question *q;

        LIST_FOREACH(q, &a->buckets[bucket], entry)
                if (question_equals(q, type, body, body_size, blob, blob_size))
                        return q;
        return NULL;
}

static struct question *question_new(struct asks *a, uint32_t bucket, enum ipc_type type, const void *body,
                                     size_t body_size, const void *blob, size_t blob_size, unsigned flags)
{
        struct question *q = malloc(sizeof(*q) + body_size + blob_size);

        if (!q)
                return NULL;
        a->last_cookie += ASK_BUCKETS;
        *q = (struct question) {
                .cookie = a->last_cookie + bucket,
                .type = type,
                .flags = flags,
                .body_size = body_size,
                .blob_size = blob_size,
        };
        TAILQ_INIT(&q->askers);
        memcpy(q->bytes, body, body_size);
        if (blob_size)
                memcpy(q->bytes + body_size, blob, blob_size);
        LIST_INSERT_HEAD(bucket_of(a, q->cookie), q, entry);
        return q;
}

int ask(struct asks *a, struct asker *asker, enum ipc_type type, const void *body, size_t body_size,
        const void *blob, size_t blob_size, unsigned flags)
{
        uint32_t bucket = bucket_of_bytes(body, body_size);
        struct question *q = NULL;

        assert(!asker->question);
        if (flags & ASK_SHARED)
                q = question_find(a, bucket, type, body, body_size, blob, blob_size);
        bool is_new = !q;

        if (is_new)
                q = question_new(a, bucket, type, body, body_size, blob, blob_size, flags);
        if (!q)
                return -ENOMEM;
        asker->question = q;
        asker->deadline_usec = usec_add(now_usec(), a->timeout_usec);
        TAILQ_INSERT_TAIL(&q->askers, asker, of_question);
        deadline_insert(a, asker);
        if (is_new)
                question_send(a, q);
        return 0;
}

void ask_cancel(struct asks *a, struct asker *asker)
{
        if (asker->question)
                asker_detach(a, asker);
}

/* Answers all askers. Each may ask anew meanwhile, but then another question: this one takes no
 * further askers. It is freed with its last one. */
static void question_answer(struct asks *a, struct question *q, const struct ipc_message *answer)
{
        bool is_first = true, is_last = false;

        q->flags &= ~(unsigned) ASK_SHARED;
        while (!is_last) {
                struct asker *asker = TAILQ_FIRST(&q->askers);

                is_last = !TAILQ_NEXT(asker, of_question);
                asker_detach(a, asker);
                asker->on_answer(asker, answer, is_first);
                is_first = false;
        }
}

void asks_answer(struct asks *a, const struct ipc_message *answer)
{
        struct question *q;

        LIST_FOREACH(q, bucket_of(a, answer->cookie), entry)
                if (q->cookie == answer->cookie) {
                        question_answer(a, q, answer);
                        return;
                }
}

void asks_disconnected(struct asks *a)
{
        for (size_t i = 0; i < ASK_BUCKETS; i++)
                for (struct question *q = LIST_FIRST(&a->buckets[i]), *next; q; q = next) {
                        next = LIST_NEXT(q, entry);
                        if (q->is_sent && q->flags & ASK_ONCE)
                                question_answer(a, q, NULL);
                        else
                                q->is_sent = false;
                }
}

void asks_resend(struct asks *a)
{
        struct question *q;

        for (size_t i = 0; i < ASK_BUCKETS; i++)
                LIST_FOREACH(q, &a->buckets[i], entry)
                        if (!q->is_sent)
                                question_send(a, q);
}
