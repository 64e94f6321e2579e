/* Keys of other clients' configurations that are not envmux's to act on: which are ignored, with what
 * note, and which are refused, because a server would do more under envmux than its owner allowed. */
#pragma once

#include "supervisor/config_report.h"

enum config_verdict {
        FOREIGN_SILENT,  /* says nothing about how a server runs */
        FOREIGN_NOTE,    /* ignored; the note says what to do instead */
        FOREIGN_REFUSED, /* a mistake, unless the value asks for nothing (see harmless) */
};

/* Values of a refused key that restrict nothing. */
enum config_harmless {
        HARMLESS_NEVER,
        HARMLESS_EMPTY, /* null, false, [], {} */
        HARMLESS_STAR,  /* null, "*", ["*"] */
};

struct config_foreign {
        const char *name;
        bool is_top;           /* stands at the top of the file, else in an entry */
        enum config_verdict verdict;
        enum config_harmless harmless;
        const char *clients;   /* who uses it */
        const char *text;      /* why it is ignored or refused, and what to write */
};

extern const struct config_foreign config_foreigns[]; /* ends with a NULL name */

const struct config_foreign *config_foreign_find(bool is_top, const char *name);

/* Judges a key that is not envmux's: adds its note or mistake. known are the names that are acted on
 * at this place (NULL-terminated): a misspelt one of them is a mistake, any other unknown key a note. */
void config_foreign_judge(bool is_top, const struct config_at *at, const char *name, struct json_object *value,
                          const char *const *known);
