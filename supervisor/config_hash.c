#include "supervisor/config_hash.h"

#include <sha2.h>
#include <stdio.h>

/* Each text with its NUL, so that "ab","c" and "a","bc" differ. */
static void add(SHA2_CTX *context, const char *text)
{
        SHA256Update(context, (const uint8_t *) text, strlen(text) + 1);
}

/* The count first: what follows cannot be taken for more of the same. */
static void add_all(SHA2_CTX *context, char *const *texts)
{
        char count[24];
        size_t n = 0;

        while (texts && texts[n])
                n++;
        snprintf(count, sizeof(count), "%zu", n);
        add(context, count);
        for (size_t i = 0; i < n; i++)
                add(context, texts[i]);
}

int config_hash_definition(struct server_config *server)
{
        SHA2_CTX context;
        char hex[SHA256_DIGEST_STRING_LENGTH];
        char *copy;

        SHA256Init(&context);
        add(&context, server->command);
        add_all(&context, server->args);
        add_all(&context, server->env);
        add(&context, server->cwd ? server->cwd : "");
        add(&context, server->transport == TRANSPORT_HTTP ? server->http_path : "");
        add_all(&context, server->prepare);
        if (server->user)
                add(&context, server->user);
        SHA256End(&context, hex);
        copy = strdup(hex);
        if (!copy)
                return -ENOMEM;
        free(server->definition_hash);
        server->definition_hash = copy;
        return 0;
}
