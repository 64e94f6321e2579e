#include "examples/frozen-lake/pcg64.h"

#include "examples/frozen-lake/seed_sequence.h"

typedef unsigned __int128 u128;

#define U128(high, low) ((u128) (high) << 64 | (low))
#define MULTIPLIER U128(UINT64_C(0x2360ed051fc65da4), UINT64_C(0x4385df649fccf645))

static void step(struct pcg64 *pcg)
{
        pcg->state = pcg->state * MULTIPLIER + pcg->increment;
}

void pcg64_init(struct pcg64 *pcg, uint64_t seed)
{
        uint64_t words[4];

        seed_sequence_generate(seed, words, 4);
        *pcg = (struct pcg64) { .increment = U128(words[2], words[3]) << 1 | 1 };
        step(pcg);
        pcg->state += U128(words[0], words[1]);
        step(pcg);
}

uint64_t pcg64_next(struct pcg64 *pcg)
{
        step(pcg);
        uint64_t folded = (uint64_t) (pcg->state >> 64) ^ (uint64_t) pcg->state;
        unsigned turn = (unsigned) (pcg->state >> 122);

        return folded >> turn | folded << (-turn & 63);
}

double pcg64_random(struct pcg64 *pcg)
{
        return (double) (pcg64_next(pcg) >> 11) * 0x1p-53;
}
