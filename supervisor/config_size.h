/* Sizes as people write them: "512M", "64KiB"; a plain number is bytes. Units are powers of 1024. */
#pragma once

#include <stdint.h>

struct json_object;

/* Units K, M, G, T, each also as KB and KiB. -EINVAL: not a size; -ERANGE: does not fit. */
int config_size_parse(const char *text, uint64_t *ret);

/* The same for a JSON value: a string, or a whole number of bytes. */
int config_size_from_json(struct json_object *value, uint64_t *ret);

#define CONFIG_SIZE_SIZE 24

/* "512M" where nothing is lost, else bytes; ret is returned. */
const char *config_size_format(uint64_t size, char ret[static CONFIG_SIZE_SIZE]);
