#include "ctl/table.h"

#include <sys/ioctl.h>

#define GAP 2
#define FLEXIBLE_MIN 8
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

struct table {
        const struct table_column *columns;
        size_t n_columns, n_rows, allocated;
        char **cells; /* row by row */
};

struct table *table_new(const struct table_column *columns, size_t n_columns)
{
        struct table *table = calloc(1, sizeof(*table));

        if (table)
                *table = (struct table) { .columns = columns, .n_columns = n_columns };
        return table;
}

struct table *table_free(struct table *table)
{
        if (!table)
                return NULL;
        for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
                free(table->cells[i]);
        free(table->cells);
        free(table);
        return NULL;
}

int table_add(struct table *table, const char *const *cells)
{
        char **row;

        if (table->n_rows == table->allocated) {
                size_t allocated = MAX_OF(2 * table->allocated, (size_t) 16);
                char **grown = reallocarray(table->cells, allocated * table->n_columns, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                table->cells = grown;
                table->allocated = allocated;
        }
        row = table->cells + table->n_rows * table->n_columns;
        for (size_t i = 0; i < table->n_columns; i++) {
                row[i] = strdup(cells[i] && cells[i][0] ? cells[i] : "-");
                if (!row[i]) {
                        while (i > 0)
                                free(row[--i]);
                        return -ENOMEM;
                }
        }
        table->n_rows++;
        return 0;
}

/* ---- printing ---------------------------------------------------------------------------------- */

static bool is_terminal(void)
{
        return isatty(STDOUT_FILENO) == 1;
}

bool terminal_has_colour(void)
{
        const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

        return is_terminal() && !(no_colour && no_colour[0]) && term && !streq(term, "dumb");
}

/* plain: control characters that may stay. */
static void print_visibly(FILE *file, const char *text, size_t size, const char *plain)
{
        bool visible = isatty(fileno(file)) == 1;

        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char) text[i];

                if (visible && (c < 0x20 || c == 0x7f) && (c == 0 || !strchr(plain, c))) {
                        putc('^', file);
                        putc(c ^ 0x40, file);
                } else {
                        putc(c, file);
                }
        }
}

void print_safely(const char *text, size_t size)
{
        print_visibly(stdout, text, size, "\t");
}

void print_lines_safely(FILE *file, const char *text)
{
        print_visibly(file, text, strlen(text), "\t\n");
}

/* Columns that text takes: code points, each counted as one. */
static size_t text_width(const char *text)
{
        size_t width = 0;

        for (; *text; text++)
                width += (*text & 0xc0) != 0x80;
        return width;
}

static void print_cell(const char *text, size_t width, const struct table_column *column, bool is_last)
{
        size_t own = text_width(text), size = strlen(text), padding = own < width ? width - own : 0;

        if (column->is_right)
                printf("%*s", (int) padding, "");
        if (own > width) {
                size_t left = width - 1;

                for (size = 0; text[size] && (left > 0 || (text[size] & 0xc0) == 0x80); size++)
                        left -= (text[size] & 0xc0) != 0x80;
        }
        print_safely(text, size);
        if (own > width)
                fputs("…", stdout);
        if (!column->is_right && !is_last)
                printf("%*s", (int) padding, "");
        if (!is_last)
                printf("%*s", GAP, "");
}

/* The widths that the cells want, the flexible ones cut until the line fits the terminal. */
static void measure(const struct table *table, size_t *widths)
{
        struct winsize size;
        size_t total = 0;

        for (size_t c = 0; c < table->n_columns; c++) {
                widths[c] = text_width(table->columns[c].title);
                for (size_t r = 0; r < table->n_rows; r++)
                        widths[c] = MAX_OF(widths[c], text_width(table->cells[r * table->n_columns + c]));
                total += widths[c] + (c ? GAP : 0);
        }
        if (!is_terminal() || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return;
        for (size_t c = 0; c < table->n_columns && total > size.ws_col; c++) {
                size_t spare = widths[c] > FLEXIBLE_MIN ? widths[c] - FLEXIBLE_MIN : 0;
                size_t cut = MIN_OF(spare, total - size.ws_col);

                if (!table->columns[c].is_flexible)
                        continue;
                widths[c] -= cut;
                total -= cut;
        }
}

void table_print(const struct table *table)
{
        _cleanup_free_ size_t *widths = calloc(table->n_columns, sizeof(*widths));
        bool colour = terminal_has_colour();

        if (!widths)
                return;
        measure(table, widths);
        fputs(colour ? BOLD : "", stdout);
        for (size_t c = 0; c < table->n_columns; c++)
                print_cell(table->columns[c].title, widths[c], &table->columns[c], c + 1 == table->n_columns);
        printf("%s\n", colour ? PLAIN : "");
        for (size_t r = 0; r < table->n_rows; r++) {
                for (size_t c = 0; c < table->n_columns; c++)
                        print_cell(table->cells[r * table->n_columns + c], widths[c], &table->columns[c],
                                   c + 1 == table->n_columns);
                putchar('\n');
        }
}
