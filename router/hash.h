/* SipHash-1-3 (Aumasson and Bernstein, 2012): a keyed hash, so that clients, who choose the keys,
 * cannot choose where they collide. */
#pragma once

#include "common/macro.h"

struct hash_seed {
        uint64_t k0, k1;
};

/* Draws a seed from the kernel. Negative errno on failure. */
int hash_seed_init(struct hash_seed *ret);

uint64_t hash_bytes(const struct hash_seed *seed, const void *data, size_t size);
