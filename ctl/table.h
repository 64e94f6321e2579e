/* Columns on a terminal: aligned, cut to its width, nothing in a cell can move the cursor. */
#pragma once

#include "common/macro.h"

#include <stdio.h>

struct table;

struct table_column {
        const char *title;
        bool is_right;    /* numbers */
        bool is_flexible; /* cut first, with an ellipsis, where the terminal is too narrow */
};

/* columns is kept by reference. NULL: out of memory. */
struct table *table_new(const struct table_column *columns, size_t n_columns);
struct table *table_free(struct table *table);
DEFINE_CLEANUP(struct table, table_free)

/* One cell per column, copied; NULL is shown as "-". */
int table_add(struct table *table, const char *const *cells);

/* Prints to standard output: a head line, then the rows. Not cut where that is no terminal. */
void table_print(const struct table *table);

/* Whether standard output is a terminal that should get colours (NO_COLOR and TERM=dumb say no). */
bool terminal_has_colour(void);

/* Print text that somebody else made: on a terminal its control characters become visible, as in ^[.
 * print_safely is for one line and prints to standard output, print_lines_safely keeps newlines. */
void print_safely(const char *text, size_t size);
void print_lines_safely(FILE *file, const char *text);
