#include "supervisor/check.h"

#include "supervisor/config_json_schema.h"

#include <json-c/json.h>

void check_print_report(FILE *stream, const struct config_report *report)
{
        for (size_t i = 0; i < report->n_notes; i++) {
                const struct config_note *note = &report->notes[i];

                fprintf(stream, "%s: %s%s%s%s\n", note->file, note->json_path, *note->json_path ? ": " : "",
                        note->is_mistake ? "" : "note: ", note->text);
        }
}

/* The files that were read, and "lake at /lake/mcp (also /mcp)" for each server. */
static void print_servers(FILE *stream, const struct config *config)
{
        for (size_t i = 0; config->files[i]; i++)
                fprintf(stream, "%s%s", i == 0 ? "" : ", ", config->files[i]);
        fprintf(stream, ": %zu server%s", config->n_servers, config->n_servers == 1 ? "" : "s");
        for (size_t i = 0; i < config->n_servers; i++) {
                const struct server_config *server = config->servers[i];

                fprintf(stream, "%s %s at /%s/mcp%s", i == 0 ? ":" : ",", server->name, server->name,
                        server == config->default_server ? " (also /mcp)" : "");
        }
        fputc('\n', stream);
}

static struct json_object *describe_notes(const struct config_report *report, bool mistakes)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; i < report->n_notes; i++) {
                if (report->notes[i].is_mistake != mistakes)
                        continue;

                struct json_object *note = json_object_new_object();

                json_object_object_add(note, "file", json_object_new_string(report->notes[i].file));
                json_object_object_add(note, "path", json_object_new_string(report->notes[i].json_path));
                json_object_object_add(note, "text", json_object_new_string(report->notes[i].text));
                json_object_array_add(list, note);
        }
        return list;
}

static struct json_object *describe_servers(const struct config *config)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; config && i < config->n_servers; i++) {
                const struct server_config *s = config->servers[i];
                struct json_object *server = json_object_new_object(), *paths = json_object_new_array();
                char path[80];

                snprintf(path, sizeof(path), "/%s/mcp", s->name);
                json_object_array_add(paths, json_object_new_string(path));
                if (s == config->default_server)
                        json_object_array_add(paths, json_object_new_string("/mcp"));
                json_object_object_add(server, "name", json_object_new_string(s->name));
                json_object_object_add(server, "transport",
                                       json_object_new_string(s->transport == TRANSPORT_HTTP ? "http" : "stdio"));
                json_object_object_add(server, "command", json_object_new_string(s->command));
                json_object_object_add(server, "paths", paths);
                json_object_object_add(server, "file", json_object_new_string(s->file));
                json_object_array_add(list, server);
        }
        return list;
}

static struct json_object *describe_files(const struct config *config)
{
        struct json_object *list = json_object_new_array();

        for (size_t i = 0; config && config->files[i]; i++)
                json_object_array_add(list, json_object_new_string(config->files[i]));
        return list;
}

static void print_json(const char *path, const struct config *config, const struct config_report *report)
{
        struct json_object *answer = json_object_new_object();

        json_object_object_add(answer, "file", json_object_new_string(path));
        json_object_object_add(answer, "files", describe_files(config));
        json_object_object_add(answer, "ok", json_object_new_boolean(config != NULL));
        json_object_object_add(answer, "mistakes", describe_notes(report, true));
        json_object_object_add(answer, "notes", describe_notes(report, false));
        json_object_object_add(answer, "servers", describe_servers(config));
        puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(answer);
}

static int finish(int status)
{
        return fflush(stdout) == 0 ? status : 1;
}

int check_run(const char *path, const char *drop_ins, bool json)
{
        _cleanup_(config_freep) struct config *config = NULL;
        struct config_report report = {};
        int r = config_load(path, drop_ins, &config, &report);

        if (r == -ENOMEM) {
                fprintf(stderr, "%s: %s\n", path, strerror(ENOMEM));
                config_report_done(&report);
                return 1;
        }
        if (config)
                config_check_machine(config, &report);
        if (json) {
                print_json(path, config, &report);
        } else {
                check_print_report(stdout, &report);
                if (config)
                        print_servers(stdout, config);
        }
        config_report_done(&report);
        return finish(config ? 0 : 2);
}

int check_print_schema(void)
{
        _cleanup_free_ char *text = NULL;

        if (config_json_schema(&text) < 0) {
                fprintf(stderr, "envmux-supervisor: %s\n", strerror(ENOMEM));
                return 1;
        }
        puts(text);
        return finish(0);
}
