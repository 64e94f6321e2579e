#include "ctl/usage.h"

#include "common/macro.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

static const char *const resources[] = { "cpu", "memory", "io" };

static struct json_object *usage_of(struct json_object *session)
{
        return field_object(session, "usage");
}

static const char *bytes(struct json_object *session, const char *member, char buffer[static HUMAN_SIZE])
{
        int64_t value = field_int(usage_of(session), member, -1);

        return value < 0 ? NULL : human_bytes((uint64_t) value, buffer);
}

const char *usage_memory(struct json_object *session, char buffer[static HUMAN_SIZE])
{
        return bytes(session, "memory_bytes", buffer);
}

const char *usage_memory_peak(struct json_object *session, char buffer[static HUMAN_SIZE])
{
        return bytes(session, "memory_peak_bytes", buffer);
}

int64_t usage_cpu_usec(struct json_object *session)
{
        return field_int(usage_of(session), "cpu_usec", -1);
}

const char *usage_cpu(struct json_object *session, char buffer[static HUMAN_SIZE])
{
        int64_t usec = usage_cpu_usec(session);

        return usec < 0 ? NULL : human_duration((usec_t) usec, buffer);
}

const char *usage_tasks(struct json_object *session, char buffer[static HUMAN_SIZE])
{
        int64_t tasks = field_int(usage_of(session), "tasks", -1);

        if (tasks < 0)
                return NULL;
        snprintf(buffer, HUMAN_SIZE, "%" PRId64, tasks);
        return buffer;
}

/* -1: not known. */
static double stalled(struct json_object *session, const char *resource, const char *member)
{
        struct json_object *value;

        if (!json_object_object_get_ex(field_object(field_object(usage_of(session), "pressure"), resource), member, &value))
                return -1;
        return json_object_get_double(value);
}

const char *usage_pressure(struct json_object *session, char buffer[static HUMAN_SIZE])
{
        double most = -1;

        for (size_t i = 0; i < ELEMENTSOF(resources); i++)
                most = MAX_OF(most, stalled(session, resources[i], "some"));
        if (most < 0)
                return NULL;
        snprintf(buffer, HUMAN_SIZE, "%.1f%%", most);
        return buffer;
}

/* ---- lines ------------------------------------------------------------------------------------------ */

static void print_label(const char *label, int label_width)
{
        printf("%*s: ", label_width, label);
}

static void print_pressure(struct json_object *session, int label_width)
{
        const char *before = "";

        if (stalled(session, resources[0], "some") < 0)
                return;
        print_label("Pressure", label_width);
        for (size_t i = 0; i < ELEMENTSOF(resources); i++) {
                double some = stalled(session, resources[i], "some"), full = stalled(session, resources[i], "full");

                if (some < 0)
                        continue;
                printf("%s%s %.2f%%", before, resources[i], some);
                if (full >= 0)
                        printf(" (full %.2f%%)", full);
                before = ", ";
        }
        putchar('\n');
}

static void print_amounts(struct json_object *session, int label_width)
{
        char memory[HUMAN_SIZE], peak[HUMAN_SIZE], cpu[HUMAN_SIZE], tasks[HUMAN_SIZE];
        const char *peak_text = usage_memory_peak(session, peak);
        const struct {
                const char *label, *text;
        } rows[] = {
                { "Memory", usage_memory(session, memory) },
                { "Memory peak", peak_text },
                { "CPU time", usage_cpu(session, cpu) },
                { "Tasks", usage_tasks(session, tasks) },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (!rows[i].text)
                        continue;
                print_label(rows[i].label, label_width);
                puts(rows[i].text);
        }
}

static void print_limits(struct json_object *limits, const char *label, int label_width)
{
        const char *before = "";

        if (!limits)
                return;
        print_label(label, label_width);
        json_object_object_foreach(limits, name, value) {
                printf("%s%s ", before, name);
                print_safely(json_object_get_string(value), strlen(json_object_get_string(value)));
                before = ", ";
        }
        putchar('\n');
}

static void print_unenforced(struct json_object *session, int label_width)
{
        size_t n;
        struct json_object *names = field_array(session, "unenforced", &n);

        if (n == 0)
                return;
        print_label("Without effect", label_width);
        for (size_t i = 0; i < n; i++)
                printf("%s%s", i > 0 ? ", " : "", json_object_get_string(json_object_array_get_idx(names, i)));
        printf(" (no cgroup controller for it here)\n");
}

void usage_print(struct json_object *session, int label_width)
{
        print_amounts(session, label_width);
        print_pressure(session, label_width);
        print_limits(field_object(session, "limits"), "Limits", label_width);
        print_limits(field_object(session, "principal_limits"), "Of its user", label_width);
        print_limits(field_object(session, "server_limits"), "Of its server", label_width);
        print_unenforced(session, label_width);
}
