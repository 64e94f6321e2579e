#include "supervisor/limits.h"

#include "supervisor/config_machine.h"
#include "supervisor/config_size.h"

#include <inttypes.h>
#include <stdio.h>

#include <json-c/json.h>

#define SHARE_WHOLE 10000            /* 100% */
#define MEMORY_MIN (UINT64_C(1) << 20)
#define TASKS_MAX 4194304            /* the kernel's PID_MAX_LIMIT */
#define CPU_SHARE_MIN 100            /* 1%: the kernel's shortest quota is 1 ms in a period of 100 ms */
#define CPU_SHARE_MAX (1000 * SHARE_WHOLE)
#define CPU_PERIOD_USEC 100000
#define WEIGHT_MAX 10000
#define WEIGHT_DEFAULT 100

static const struct kind {
        const char *name, *syntax, *bounds;
        unsigned controller;
} kinds[LIMIT__MAX] = {
        [LIMIT_MEMORY_MAX] = { "memory_max",
                               "must be a size such as \"512M\" or \"1.5G\", a share of the machine's memory such as "
                               "\"10%\", or \"infinity\"",
                               "must be at least \"1M\" (a plain number is bytes) and at most \"100%\"",
                               CONTROLLER_MEMORY },
        [LIMIT_TASKS_MAX] = { "tasks_max",
                              "must be a whole number, a share of what the machine allows such as \"10%\", or "
                              "\"infinity\"",
                              "must be between 1 and 4194304, or at most \"100%\"", CONTROLLER_PIDS },
        [LIMIT_CPU_QUOTA] = { "cpu_quota", "must be a share of one CPU such as \"50%\" or \"200%\", or \"infinity\"",
                              "must be between \"1%\" and \"100000%\"", CONTROLLER_CPU },
        [LIMIT_CPU_WEIGHT] = { "cpu_weight", "must be a whole number between 1 and 10000, or \"idle\"",
                               "must be between 1 and 10000", CONTROLLER_CPU },
};

static const struct {
        unsigned bit;
        const char *name;
} controllers[] = {
        { CONTROLLER_CPU, "cpu" }, { CONTROLLER_IO, "io" }, { CONTROLLER_MEMORY, "memory" }, { CONTROLLER_PIDS, "pids" },
};

const char *limit_to_string(enum limit_kind kind)
{
        return kinds[kind].name;
}

int limit_from_string(const char *name)
{
        for (int i = 0; i < LIMIT__MAX; i++)
                if (streq(kinds[i].name, name))
                        return i;
        return -ENOENT;
}

unsigned limit_controller(enum limit_kind kind)
{
        return kinds[kind].controller;
}

const char *limit_controller_name(enum limit_controller controller)
{
        for (size_t i = 0; i < ELEMENTSOF(controllers); i++)
                if (controllers[i].bit == controller)
                        return controllers[i].name;
        return NULL;
}

unsigned limit_controllers_parse(const char *list)
{
        unsigned mask = 0;

        while (*list) {
                size_t size = strcspn(list, " \n");

                for (size_t i = 0; i < ELEMENTSOF(controllers); i++)
                        if (strlen(controllers[i].name) == size && strncmp(list, controllers[i].name, size) == 0)
                                mask |= controllers[i].bit;
                list += size + strspn(list + size, " \n");
        }
        return mask;
}

const char *limit_syntax(enum limit_kind kind)
{
        return kinds[kind].syntax;
}

const char *limit_bounds(enum limit_kind kind)
{
        return kinds[kind].bounds;
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* Digits with up to decimals of them after a point, times 10^decimals. Returns where they end; NULL: no number. */
static const char *parse_decimal(const char *text, unsigned decimals, uint64_t *ret)
{
        uint64_t number = 0;
        bool is_fraction = false;

        if (*text < '0' || *text > '9')
                return NULL;
        for (; (*text >= '0' && *text <= '9') || (*text == '.' && !is_fraction); text++) {
                if (*text == '.') {
                        is_fraction = true;
                        if (text[1] < '0' || text[1] > '9')
                                return NULL;
                        continue;
                }
                if (is_fraction && decimals-- == 0)
                        return NULL;
                if (__builtin_mul_overflow(number, (uint64_t) 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t) (*text - '0'), &number))
                        number = UINT64_MAX / 1000;
        }
        while (decimals-- > 0)
                if (__builtin_mul_overflow(number, (uint64_t) 10, &number))
                        number = UINT64_MAX / 1000;
        *ret = number;
        return text;
}

static int parse_share(const char *text, uint64_t *ret)
{
        const char *end = parse_decimal(text, 2, ret);

        return end && streq(end, "%") ? 0 : -EINVAL;
}

/* A size with up to three decimals, as in "1.5G". */
static int parse_size(const char *text, uint64_t *ret)
{
        char unit[16];
        uint64_t thousandths, bytes;
        const char *end = parse_decimal(text, 3, &thousandths);
        int n = end ? snprintf(unit, sizeof(unit), "1%s", end) : -1;

        if (n < 0 || (size_t) n >= sizeof(unit) || config_size_parse(unit, &bytes) < 0)
                return -EINVAL;
        if (__builtin_mul_overflow(thousandths, bytes, &bytes))
                return -ERANGE;
        *ret = bytes / 1000;
        return 0;
}

static int parse_count(const char *text, uint64_t *ret)
{
        const char *end = parse_decimal(text, 0, ret);

        return end && !*end ? 0 : -EINVAL;
}

static int between(uint64_t number, uint64_t low, uint64_t high)
{
        return number >= low && number <= high ? 0 : -ERANGE;
}

static int parse_number(enum limit_kind kind, const char *text, uint64_t *ret)
{
        int r;

        switch (kind) {
        case LIMIT_MEMORY_MAX:
                r = parse_size(text, ret);
                return r < 0 ? r : between(*ret, MEMORY_MIN, INT64_MAX);
        case LIMIT_TASKS_MAX:
                r = parse_count(text, ret);
                return r < 0 ? r : between(*ret, 1, TASKS_MAX);
        case LIMIT_CPU_WEIGHT:
                r = parse_count(text, ret);
                return r < 0 ? r : between(*ret, 1, WEIGHT_MAX);
        default:
                return -EINVAL;
        }
}

static int parse_form(enum limit_kind kind, const char *text, struct limit *limit)
{
        if (streq(text, kind == LIMIT_CPU_WEIGHT ? "idle" : "infinity")) {
                limit->form = kind == LIMIT_CPU_WEIGHT ? LIMIT_IDLE : LIMIT_INFINITY;
                return 0;
        }
        if (kind != LIMIT_CPU_WEIGHT && parse_share(text, &limit->number) >= 0) {
                limit->form = LIMIT_SHARE;
                return kind == LIMIT_CPU_QUOTA ? between(limit->number, CPU_SHARE_MIN, CPU_SHARE_MAX)
                                               : between(limit->number, 1, SHARE_WHOLE);
        }
        limit->form = LIMIT_NUMBER;
        return parse_number(kind, text, &limit->number);
}

int limit_parse(enum limit_kind kind, const char *text, struct limit *ret)
{
        struct limit limit = { .form = LIMIT_UNSET };
        int r = STR_COPY(limit.text, text) < 0 ? -EINVAL : parse_form(kind, text, &limit);

        if (r >= 0)
                *ret = limit;
        return r;
}

int limit_from_json(enum limit_kind kind, struct json_object *value, struct limit *ret)
{
        char text[CONFIG_SIZE_SIZE];
        const char *string = json_object_get_string(value);

        if (json_object_is_type(value, json_type_string))
                return strlen(string) == (size_t) json_object_get_string_len(value) ? limit_parse(kind, string, ret)
                                                                                    : -EINVAL;
        if (!json_object_is_type(value, json_type_int) || kind == LIMIT_CPU_QUOTA)
                return -EINVAL;
        if (json_object_get_int64(value) < 0)
                return -ERANGE;
        if (kind == LIMIT_MEMORY_MAX)
                return limit_parse(kind, config_size_format(json_object_get_uint64(value), text), ret);
        snprintf(text, sizeof(text), "%" PRIu64, json_object_get_uint64(value));
        return limit_parse(kind, text, ret);
}

/* ---- what the kernel is told -------------------------------------------------------------------- */

static uint64_t machine_share(enum limit_kind kind, uint64_t share)
{
        struct config_machine machine;

        config_machine_read(&machine);
        uint64_t whole = kind == LIMIT_MEMORY_MAX ? machine.memory_bytes : machine.processes;

        return MAX_OF(whole / SHARE_WHOLE * share, (uint64_t) 1);
}

static void amount_file(enum limit_kind kind, const struct limit *limit, struct limit_file *ret)
{
        ret->name = kind == LIMIT_MEMORY_MAX ? "memory.max" : "pids.max";
        if (limit->form == LIMIT_UNSET || limit->form == LIMIT_INFINITY)
                (void) STR_COPY(ret->value, "max");
        else
                snprintf(ret->value, sizeof(ret->value), "%" PRIu64,
                         limit->form == LIMIT_SHARE ? machine_share(kind, limit->number) : limit->number);
}

static void quota_file(const struct limit *limit, struct limit_file *ret)
{
        ret->name = "cpu.max";
        if (limit->form == LIMIT_SHARE)
                snprintf(ret->value, sizeof(ret->value), "%" PRIu64 " %d",
                         limit->number * CPU_PERIOD_USEC / SHARE_WHOLE, CPU_PERIOD_USEC);
        else
                snprintf(ret->value, sizeof(ret->value), "max %d", CPU_PERIOD_USEC);
}

/* The weight of an idle group cannot be changed: first what takes it out of that class. */
static size_t weight_files(const struct limit *limit, struct limit_file *ret)
{
        ret[0].name = "cpu.idle";
        (void) STR_COPY(ret[0].value, limit->form == LIMIT_IDLE ? "1" : "0");
        if (limit->form == LIMIT_IDLE)
                return 1;
        ret[1].name = "cpu.weight";
        snprintf(ret[1].value, sizeof(ret[1].value), "%" PRIu64,
                 limit->form == LIMIT_NUMBER ? limit->number : (uint64_t) WEIGHT_DEFAULT);
        return 2;
}

size_t limit_files(enum limit_kind kind, const struct limit *limit, struct limit_file ret[static LIMIT_FILES_MAX])
{
        if (kind == LIMIT_CPU_WEIGHT)
                return weight_files(limit, ret);
        if (kind == LIMIT_CPU_QUOTA)
                quota_file(limit, ret);
        else
                amount_file(kind, limit, ret);
        return 1;
}

/* ---- all of a level ------------------------------------------------------------------------------ */

unsigned limits_set(const struct limits *limits)
{
        unsigned set = 0;

        for (unsigned kind = 0; kind < LIMIT__MAX; kind++)
                if (limits->of[kind].form != LIMIT_UNSET && limits->of[kind].form != LIMIT_INFINITY)
                        set |= 1u << kind;
        return set;
}

void limits_write(const struct limits *limits, struct json_writer *writer)
{
        const char *comma = "";

        json_writer_text(writer, "{");
        for (unsigned kind = 0; kind < LIMIT__MAX; kind++) {
                if (!(limits_set(limits) & 1u << kind))
                        continue;
                json_writer_format(writer, "%s\"%s\":", comma, kinds[kind].name);
                json_writer_string(writer, limits->of[kind].text);
                comma = ",";
        }
        json_writer_text(writer, "}");
}
