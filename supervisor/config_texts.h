/* What the files of a configuration said when it was read: enough to read it once more, without them. */
#pragma once

#include "common/macro.h"

#include <sys/types.h>

struct config_texts;

/* Empty ones, which files are read into. -ENOMEM. */
int config_texts_new(struct config_texts **ret);
struct config_texts *config_texts_free(struct config_texts *texts);
DEFINE_CLEANUP(struct config_texts, config_texts_free)

/* Reads a file as fd_read_file_at does, and remembers it. Of recalled texts none but what was remembered is there. */
int config_texts_read(struct config_texts *texts, const char *path, size_t size_max, char **ret, size_t *ret_size);

/* The absolute folder in which a file is that has been read, and that makes it one of the configuration's own, not one
 * that these refer to. *ret is the caller's. */
int config_texts_folder(struct config_texts *texts, const char *path, char **ret);

/* Walks the configuration's own files in the order in which they were read: *cursor starts at 0. NULL after the last. */
const char *config_texts_next(const struct config_texts *texts, size_t *cursor);

/* As a file, mode 0600, replaced as a whole: they hold what the environments of backends hold. */
int config_texts_write(const struct config_texts *texts, const char *path);
/* -EBADMSG: not such a file. *ret is the caller's. */
int config_texts_recall(const char *path, struct config_texts **ret);
