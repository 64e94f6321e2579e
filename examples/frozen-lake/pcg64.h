/* numpy's default random numbers, bit for bit: SeedSequence(seed), the 128-bit PCG (XSL-RR) that it
 * seeds, and Generator.random(). */
#pragma once

#include <stdint.h>

struct pcg64 {
        unsigned __int128 state, increment;
};

/* As numpy.random.PCG64(numpy.random.SeedSequence(seed)). */
void pcg64_init(struct pcg64 *pcg, uint64_t seed);

uint64_t pcg64_next(struct pcg64 *pcg);

/* Uniform in [0, 1): 53 random bits. */
double pcg64_random(struct pcg64 *pcg);
