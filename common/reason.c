#include "common/reason.h"

static const struct {
        const char *word, *text;
        unsigned http_status;
        int rpc_code;
        bool infra;
} reasons[REASON__MAX] = {
#define REASON(name, is_infra, status, code, sentence) \
        [REASON_##name] = { \
                .word = #name, .text = sentence, .http_status = status, .rpc_code = code, .infra = is_infra, \
        },
#include "common/reason.def"
#undef REASON
};

static bool is_valid(enum reason reason)
{
        return (int) reason >= 0 && (int) reason < REASON__MAX;
}

const char *reason_to_string(enum reason reason)
{
        return is_valid(reason) ? reasons[reason].word : NULL;
}

enum reason reason_from_string(const char *word)
{
        for (size_t i = 0; i < REASON__MAX; i++)
                if (streq(reasons[i].word, word))
                        return (enum reason) i;
        return REASON__INVALID;
}

bool reason_is_infra(enum reason reason)
{
        assert(is_valid(reason));
        return reasons[reason].infra;
}

unsigned reason_http_status(enum reason reason)
{
        assert(is_valid(reason));
        return reasons[reason].http_status;
}

unsigned reason_request_status(enum reason reason)
{
        unsigned status = reason_http_status(reason);

        return status == 503 || status == 409 ? 200 : status;
}

int reason_rpc_code(enum reason reason)
{
        assert(is_valid(reason));
        return reasons[reason].rpc_code;
}

const char *reason_text(enum reason reason)
{
        assert(is_valid(reason));
        return reasons[reason].text;
}
