/* What Python's json.dumps(value, sort_keys=True) writes, made from the bytes of a validated value. */
#include "common/identity.h"

struct member {
        struct json_slice name, value; /* name: objects only */
};

/* A container being written. */
struct frame {
        struct member *members;
        size_t n, next;
        bool is_object;
};

struct canonical {
        struct json_writer w;
        struct frame frames[JSON_DEPTH_MAX];
        size_t depth;
};

static void write_unicode_escape(struct json_writer *w, uint32_t c)
{
        if (c >= 0x10000) {
                c -= 0x10000;
                json_writer_format(w, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
        } else {
                json_writer_format(w, "\\u%04x", c);
        }
}

static void write_char(struct json_writer *w, uint32_t c)
{
        static const char meant[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
        const char *at = c > 0 && c < 0x80 ? strchr(meant, (int) c) : NULL;

        if (at)
                json_writer_raw(w, (const char[]) { '\\', letters[at - meant] }, 2);
        else if (c >= 0x20 && c < 0x7f)
                json_writer_raw(w, (const char[]) { (char) c }, 1);
        else
                write_unicode_escape(w, c);
}

static void write_string(struct json_writer *w, struct json_slice value)
{
        size_t cursor = 0;
        uint32_t c;

        json_writer_raw(w, "\"", 1);
        while (json_string_next(value, &cursor, &c) > 0)
                write_char(w, c);
        json_writer_raw(w, "\"", 1);
}

static int collect(struct json_slice container, struct frame *f)
{
        struct member m = { 0 };
        size_t cursor = 0, allocated = 0;

        while (json_next(container, &cursor, &m.name, &m.value) > 0) {
                if (f->n == allocated) {
                        allocated = allocated ? allocated * 2 : 8;
                        struct member *more = reallocarray(f->members, allocated, sizeof(*more));

                        if (!more)
                                return -ENOMEM;
                        f->members = more;
                }
                f->members[f->n++] = m;
        }
        return 0;
}

/* By name, then by place, so that the last of equal names comes last. */
static int compare_members(const void *a, const void *b)
{
        const struct member *x = a, *y = b;
        int order = json_string_compare(x->name, y->name);

        return order ? order : (x->name.data > y->name.data) - (x->name.data < y->name.data);
}

static void sort_members(struct frame *f)
{
        size_t kept = 0;

        if (f->n == 0)
                return;
        qsort(f->members, f->n, sizeof(*f->members), compare_members);
        for (size_t i = 1; i < f->n; i++) {
                if (json_string_compare(f->members[kept].name, f->members[i].name) != 0)
                        kept++;
                f->members[kept] = f->members[i];
        }
        f->n = kept + 1;
}

/* Writes a scalar, or opens a container. */
static int begin_value(struct canonical *c, struct json_slice value)
{
        enum json_kind type = json_slice_type(value);

        if (type == JSON_STRING)
                write_string(&c->w, value);
        else if (type != JSON_ARRAY && type != JSON_OBJECT)
                json_writer_raw(&c->w, value.data, value.size);
        else if (c->depth == JSON_DEPTH_MAX)
                return -ELOOP;
        else {
                struct frame *f = &c->frames[c->depth++];

                *f = (struct frame) { .is_object = type == JSON_OBJECT };
                int r = collect(value, f);

                if (r < 0)
                        return r;
                if (f->is_object)
                        sort_members(f);
                json_writer_text(&c->w, f->is_object ? "{" : "[");
        }
        return 0;
}

/* The next member or element of the innermost container, or its end. */
static int step(struct canonical *c)
{
        struct frame *f = &c->frames[c->depth - 1];

        if (f->next == f->n) {
                json_writer_text(&c->w, f->is_object ? "}" : "]");
                free(f->members);
                c->depth--;
                return 0;
        }
        if (f->next > 0)
                json_writer_text(&c->w, ", ");
        const struct member *m = &f->members[f->next++];

        if (f->is_object) {
                write_string(&c->w, m->name);
                json_writer_text(&c->w, ": ");
        }
        return begin_value(c, m->value);
}

int identity_canonical_json(struct json_slice value, char **ret, size_t *ret_size)
{
        struct canonical c = { .depth = 0 };
        int r = begin_value(&c, value);

        while (r >= 0 && c.depth > 0)
                r = step(&c);
        while (c.depth > 0)
                free(c.frames[--c.depth].members);
        if (r < 0) {
                json_writer_done(&c.w);
                return r;
        }
        return json_writer_finish(&c.w, ret, ret_size);
}
