#include "supervisor/usage.h"

#include "common/fd.h"

#include <fcntl.h>
#include <inttypes.h>

#define FILE_BYTES_MAX 4096

struct file_text {
        char text[FILE_BYTES_MAX];
};

/* The file's text; "" where it cannot be read. */
static const char *read_text(int folder_fd, const char *name, struct file_text *ret)
{
        _cleanup_fd_ int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, ret->text, sizeof(ret->text) - 1) : -1;

        ret->text[MAX_OF(n, (ssize_t) 0)] = '\0';
        return ret->text;
}

/* A whole number at the start of text. */
static uint64_t parse_number(const char *text)
{
        return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : USAGE_UNKNOWN;
}

static uint64_t read_number(int folder_fd, const char *name)
{
        struct file_text file;

        return parse_number(read_text(folder_fd, name, &file));
}

/* The number after a word that begins the file. */
static uint64_t read_first(int folder_fd, const char *name, const char *word)
{
        struct file_text file;
        const char *text = read_text(folder_fd, name, &file);

        return strncmp(text, word, strlen(word)) == 0 ? parse_number(text + strlen(word)) : USAGE_UNKNOWN;
}

/* "0.12", always with two decimals, after word. */
static uint64_t parse_hundredths(const char *text, const char *word)
{
        const char *at = strstr(text, word), *point;

        if (!at)
                return USAGE_UNKNOWN;
        at += strlen(word);
        point = strchr(at, '.');
        uint64_t whole = parse_number(at), part = point ? parse_number(point + 1) : USAGE_UNKNOWN;

        return whole == USAGE_UNKNOWN || part == USAGE_UNKNOWN ? USAGE_UNKNOWN : whole * 100 + part;
}

static struct usage_pressure read_pressure(int folder_fd, const char *name)
{
        struct file_text file;
        const char *text = read_text(folder_fd, name, &file);

        return (struct usage_pressure) {
                .some = parse_hundredths(text, "some avg10="),
                .full = parse_hundredths(text, "full avg10="),
        };
}

int usage_read(int root_fd, const char *path, struct usage *ret)
{
        _cleanup_fd_ int folder_fd = openat(root_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (folder_fd < 0)
                return -errno;
        *ret = (struct usage) {
                .is_read = true,
                .memory_bytes = read_number(folder_fd, "memory.current"),
                .memory_peak_bytes = read_number(folder_fd, "memory.peak"),
                .cpu_usec = read_first(folder_fd, "cpu.stat", "usage_usec "),
                .tasks = read_number(folder_fd, "pids.current"),
                .cpu = read_pressure(folder_fd, "cpu.pressure"),
                .memory = read_pressure(folder_fd, "memory.pressure"),
                .io = read_pressure(folder_fd, "io.pressure"),
        };
        return 0;
}

static void write_hundredths(struct json_writer *w, const char *name, uint64_t value)
{
        json_writer_format(w, "\"%s\":%" PRIu64 ".%02" PRIu64, name, value / 100, value % 100);
}

static void write_pressure(struct json_writer *w, const char *comma, const struct usage *usage)
{
        const struct {
                const char *name;
                const struct usage_pressure *pressure;
        } rows[] = { { "cpu", &usage->cpu }, { "memory", &usage->memory }, { "io", &usage->io } };
        bool is_any = false;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (rows[i].pressure->some == USAGE_UNKNOWN)
                        continue;
                json_writer_format(w, "%s%s\"%s\":{", is_any ? "," : comma, is_any ? "" : "\"pressure\":{", rows[i].name);
                write_hundredths(w, "some", rows[i].pressure->some);
                if (rows[i].pressure->full != USAGE_UNKNOWN) {
                        json_writer_text(w, ",");
                        write_hundredths(w, "full", rows[i].pressure->full);
                }
                json_writer_text(w, "}");
                is_any = true;
        }
        if (is_any)
                json_writer_text(w, "}");
}

void usage_write(const struct usage *usage, struct json_writer *w)
{
        const struct {
                const char *name;
                uint64_t value;
        } rows[] = {
                { "memory_bytes", usage->memory_bytes },
                { "memory_peak_bytes", usage->memory_peak_bytes },
                { "cpu_usec", usage->cpu_usec },
                { "tasks", usage->tasks },
        };
        const char *comma = "";

        json_writer_text(w, "{");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (rows[i].value == USAGE_UNKNOWN)
                        continue;
                json_writer_format(w, "%s\"%s\":%" PRIu64, comma, rows[i].name, rows[i].value);
                comma = ",";
        }
        write_pressure(w, comma, usage);
        json_writer_text(w, "}");
}
