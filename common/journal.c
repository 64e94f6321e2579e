#include "common/journal.h"

#include "common/fd.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>

#define SEND_BUFFER_BYTES (1024 * 1024) /* as far as the kernel lets us */

struct journal {
        const char *path, *identifier;
        int fd;             /* connected, -1 while nobody listens */
        uint64_t n_lost;
        uint64_t n_untold;  /* of these, what no entry has told of */
};

static int connect_to(const char *path)
{
        static const int size = SEND_BUFFER_BYTES;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (STR_COPY(address.sun_path, path) < 0)
                return -ENAMETOOLONG;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        return TAKE_FD(fd);
}

int journal_new(const char *path, const char *identifier, struct journal **ret)
{
        struct journal *journal = calloc(1, sizeof(*journal));

        if (!journal)
                return -ENOMEM;
        journal->path = path;
        journal->identifier = identifier;
        journal->fd = MAX_OF(connect_to(path), -1);
        *ret = journal;
        return 0;
}

struct journal *journal_free(struct journal *journal)
{
        if (!journal)
                return NULL;
        fd_close(journal->fd);
        free(journal);
        return NULL;
}

uint64_t journal_lost(const struct journal *journal)
{
        return journal->n_lost;
}

/* sendmsg(2) only reads. */
static struct iovec piece(const void *data, size_t size)
{
        return (struct iovec) { (void *) (uintptr_t) data, size };
}

/* "NAME=value\n", or, where the value has line breaks, "NAME\n", its size in 64 bits little endian, "value\n". */
static size_t field_encode(const struct journal_field *field, uint64_t *size_le, struct iovec iov[static 4])
{
        bool is_plain = field->size == 0 || !memchr(field->value, '\n', field->size);
        size_t n = 0;

        *size_le = htole64(field->size);
        iov[n++] = piece(field->name, strlen(field->name));
        iov[n++] = piece(is_plain ? "=" : "\n", 1);
        if (!is_plain)
                iov[n++] = piece(size_le, sizeof(*size_le));
        iov[n++] = piece(field->value, field->size);
        return n;
}

static int send_now(struct journal *journal, const struct msghdr *message)
{
        ssize_t n = journal->fd >= 0 ? sendmsg(journal->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;

        if (n >= 0)
                return 0;
        /* Another journal may have begun in the place of the one that we knew. */
        if (journal->fd >= 0 && errno != ECONNREFUSED && errno != ENOTCONN && errno != ECONNRESET && errno != EPIPE)
                return -errno;
        fd_close(journal->fd);
        int fd = connect_to(journal->path);

        journal->fd = MAX_OF(fd, -1);
        if (fd < 0)
                return fd;
        return sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int entry_send(struct journal *journal, const struct journal_field *fields, size_t n)
{
        struct iovec iov[5 * JOURNAL_FIELDS_MAX];
        uint64_t sizes[JOURNAL_FIELDS_MAX];
        size_t used = 0;

        if (n > JOURNAL_FIELDS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < n; i++) {
                if (!fields[i].name || !fields[i].value)
                        continue;
                used += field_encode(&fields[i], &sizes[i], iov + used);
                iov[used++] = piece("\n", 1);
        }
        const struct msghdr message = { .msg_iov = iov, .msg_iovlen = used };

        return send_now(journal, &message);
}

static void tell_lost(struct journal *journal)
{
        char text[96], priority[8];

        (void) snprintf(text, sizeof(text), "%" PRIu64 " entries were lost on their way to the journal",
                        journal->n_untold);
        (void) snprintf(priority, sizeof(priority), "%d", LOG_WARNING);
        const struct journal_field fields[] = {
                journal_text("MESSAGE", text),
                journal_text("PRIORITY", priority),
                journal_text("SYSLOG_IDENTIFIER", journal->identifier),
        };

        if (entry_send(journal, fields, ELEMENTSOF(fields)) >= 0)
                journal->n_untold = 0;
}

void journal_count_lost(struct journal *journal, uint64_t n)
{
        journal->n_lost += n;
        journal->n_untold += n;
}

int journal_fd(const struct journal *journal)
{
        return journal->fd;
}

int journal_offer(struct journal *journal, const struct journal_field *fields, size_t n)
{
        if (journal->n_untold > 0)
                tell_lost(journal); /* before what comes after them */
        int r = entry_send(journal, fields, n);

        if (r < 0 && r != -E2BIG && r != -EAGAIN)
                journal_count_lost(journal, 1);
        return r;
}

int journal_send(struct journal *journal, const struct journal_field *fields, size_t n)
{
        int r = journal_offer(journal, fields, n);

        if (r == -EAGAIN)
                journal_count_lost(journal, 1);
        return r;
}

int journal_priority(const char **text, size_t *size, int fallback)
{
        const char *p = *text;

        if (*size < 3 || p[0] != '<' || p[1] < '0' || p[1] > '7' || p[2] != '>')
                return fallback;
        *text += 3;
        *size -= 3;
        return p[1] - '0';
}
