/* numpy's SeedSequence: spreads the bits of a small seed over as many words as a generator needs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* As numpy.random.SeedSequence(seed).generate_state(n, numpy.uint64). */
void seed_sequence_generate(uint64_t seed, uint64_t *ret_words, size_t n);
