#include "worker/backlog.h"

struct backlog_message {
        STAILQ_ENTRY(backlog_message) entry;
        char *text;
        size_t size;
};

void backlog_init(struct backlog *backlog)
{
        *backlog = (struct backlog) { 0 };
        STAILQ_INIT(&backlog->messages);
}

bool backlog_take(struct backlog *backlog, char **ret, size_t *ret_size)
{
        struct backlog_message *message = STAILQ_FIRST(&backlog->messages);

        if (!message)
                return false;
        STAILQ_REMOVE_HEAD(&backlog->messages, entry);
        backlog->n--;
        backlog->bytes -= message->size;
        *ret = message->text;
        *ret_size = message->size;
        free(message);
        return true;
}

static void drop_oldest(struct backlog *backlog)
{
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (backlog_take(backlog, &text, &size))
                backlog->dropped++;
}

void backlog_done(struct backlog *backlog)
{
        while (backlog->n > 0)
                drop_oldest(backlog);
}

unsigned backlog_add(struct backlog *backlog, const char *text, size_t size)
{
        struct backlog_message *message = size <= BACKLOG_BYTES_MAX ? malloc(sizeof(*message)) : NULL;
        unsigned dropped = 0;

        if (message && !(message->text = malloc(size))) {
                free(message);
                message = NULL;
        }
        if (!message) {
                backlog->dropped++;
                return 1;
        }
        memcpy(message->text, text, size);
        message->size = size;
        STAILQ_INSERT_TAIL(&backlog->messages, message, entry);
        backlog->n++;
        backlog->bytes += size;
        for (; backlog->n > BACKLOG_MESSAGES_MAX || backlog->bytes > BACKLOG_BYTES_MAX; dropped++)
                drop_oldest(backlog);
        return dropped;
}

void backlog_move(struct backlog *to, struct backlog *from)
{
        _cleanup_free_ char *text = NULL;
        size_t size;

        while (backlog_take(from, &text, &size)) {
                (void) backlog_add(to, text, size);
                free(TAKE_PTR(text));
        }
}
