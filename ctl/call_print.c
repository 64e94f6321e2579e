#include "ctl/call_print.h"
#include "ctl/table.h"

/* The decoded text of a string member, or NULL. The caller's. */
static char *member_text(struct json_slice object, const char *name)
{
        struct json_slice value;
        char *text;

        if (json_get(object, name, &value) < 0)
                return NULL;
        text = malloc(value.size + 1);
        if (text && json_string_copy(value, text, value.size + 1) < 0) {
                free(text);
                return NULL;
        }
        return text;
}

/* ---- results ----------------------------------------------------------------------------------- */

static void print_text(FILE *file, const char *text)
{
        size_t size = strlen(text);

        print_lines_safely(file, text);
        if (size == 0 || text[size - 1] != '\n')
                fputc('\n', file);
}

static void print_block(FILE *file, struct json_slice block)
{
        _cleanup_free_ char *type = member_text(block, "type"), *text = member_text(block, "text");
        _cleanup_free_ char *mime = member_text(block, "mimeType"), *uri = member_text(block, "uri");
        struct json_slice resource, data;

        if (type && streq(type, "resource") && json_get(block, "resource", &resource) >= 0) {
                free(text);
                text = member_text(resource, "text");
                uri = uri ? uri : member_text(resource, "uri");
                mime = mime ? mime : member_text(resource, "mimeType");
        }
        if (text)
                print_text(file, text);
        else if (json_get(block, "data", &data) >= 0)
                fprintf(file, "[%s, %s, %zu characters of base64; --json prints them]\n", type ? type : "data",
                        mime ? mime : "unknown type", data.size > 2 ? data.size - 2 : 0);
        else
                fprintf(file, "[%s%s%s]\n", type ? type : "unknown block", uri ? " " : "", uri ? uri : "");
}

void call_print_result(FILE *file, struct json_slice result)
{
        struct json_slice content = { .size = 0 }, block, structured;
        size_t cursor = 0;
        bool is_empty = true;

        (void) json_get(result, "content", &content);
        while (json_next(content, &cursor, NULL, &block) > 0) {
                print_block(file, block);
                is_empty = false;
        }
        if (is_empty && json_get(result, "structuredContent", &structured) >= 0)
                fprintf(file, "%.*s\n", (int) structured.size, structured.data);
}

/* ---- tools ------------------------------------------------------------------------------------- */

static bool is_required(struct json_slice schema, struct json_slice name)
{
        struct json_slice required, item;
        size_t cursor = 0;

        if (json_get(schema, "required", &required) < 0)
                return false;
        while (json_next(required, &cursor, NULL, &item) > 0)
                if (json_string_compare(item, name) == 0)
                        return true;
        return false;
}

/* "=integer", "=left|right", "=…" where the schema says nothing simple. */
static void print_type(struct json_slice property)
{
        _cleanup_free_ char *type = member_text(property, "type");
        struct json_slice choices, choice;
        size_t cursor = 0;
        const char *before = "=";

        if (json_get(property, "enum", &choices) < 0) {
                printf("=%s", type ? type : "…");
                return;
        }
        while (json_next(choices, &cursor, NULL, &choice) > 0) {
                bool is_string = json_slice_type(choice) == JSON_STRING;

                printf("%s%.*s", before, (int) choice.size - 2 * is_string, choice.data + is_string);
                before = "|";
        }
}

static void print_arguments(struct json_slice schema)
{
        struct json_slice properties, name, property;
        size_t cursor = 0;

        if (json_get(schema, "properties", &properties) < 0)
                return;
        while (json_next(properties, &cursor, &name, &property) > 0) {
                bool required = is_required(schema, name);

                printf(" %s%.*s", required ? "" : "[", (int) name.size - 2, name.data + 1);
                print_type(property);
                fputs(required ? "" : "]", stdout);
        }
}

void call_print_tool(struct json_slice tool)
{
        _cleanup_free_ char *name = member_text(tool, "name"), *description = member_text(tool, "description");
        struct json_slice schema;

        print_lines_safely(stdout, name ? name : "?");
        if (json_get(tool, "inputSchema", &schema) >= 0)
                print_arguments(schema);
        putchar('\n');
        if (description && description[0]) {
                const char *line = description + strspn(description, " \t\r\n");

                fputs("    ", stdout);
                print_safely(line, strcspn(line, "\r\n"));
                putchar('\n');
        }
}
