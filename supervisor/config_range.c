#include "supervisor/config_range.h"

#include <ctype.h>

/* The number at *text, which is moved behind it. Longer ones than any id has are cut: out of every range. */
static int take_number(const char **text, uint64_t *ret)
{
        uint64_t value = 0;

        if (!isdigit((unsigned char) **text))
                return -EINVAL;
        for (; isdigit((unsigned char) **text); (*text)++)
                if (value <= UINT32_MAX)
                        value = value * 10 + (uint64_t) (**text - '0');
        *ret = value;
        return 0;
}

int config_range_parse(const char *text, uint64_t minimum, uint64_t maximum, struct config_range *ret)
{
        uint64_t first, last;

        if (take_number(&text, &first) < 0 || *text++ != '-' || take_number(&text, &last) < 0 || *text ||
            first >= last)
                return -EINVAL;
        if (first < minimum || last > MIN_OF(maximum, (uint64_t) UINT32_MAX))
                return -ERANGE;
        *ret = (struct config_range) { .first = (uint32_t) first, .last = (uint32_t) last };
        return 0;
}
