#include "examples/frozen-lake/seed_sequence.h"

#define POOL_WORDS 4

/* The constants of numpy's documented algorithm, which M. E. O'Neill designed for C++'s seed_seq. */
#define HASH_START 0x43b0d7e5u
#define HASH_MULTIPLIER 0x931e8875u
#define OUTPUT_START 0x8b51f9ddu
#define OUTPUT_MULTIPLIER 0x58f38dedu
#define MIX_LEFT 0xca01f9ddu
#define MIX_RIGHT 0x4973f715u

static uint32_t fold(uint32_t value)
{
        return value ^ value >> 16;
}

/* Each call hashes with another constant, so that equal words do not give equal results. */
static uint32_t hash(uint32_t value, uint32_t *constant, uint32_t multiplier)
{
        value ^= *constant;
        *constant *= multiplier;
        return fold(value * *constant);
}

static uint32_t mix(uint32_t a, uint32_t b)
{
        return fold(MIX_LEFT * a - MIX_RIGHT * b);
}

void seed_sequence_generate(uint64_t seed, uint64_t *ret_words, size_t n)
{
        uint32_t pool[POOL_WORDS] = { (uint32_t) seed, (uint32_t) (seed >> 32) }, constant = HASH_START;

        for (unsigned i = 0; i < POOL_WORDS; i++)
                pool[i] = hash(pool[i], &constant, HASH_MULTIPLIER);
        for (unsigned from = 0; from < POOL_WORDS; from++)
                for (unsigned to = 0; to < POOL_WORDS; to++)
                        if (from != to)
                                pool[to] = mix(pool[to], hash(pool[from], &constant, HASH_MULTIPLIER));
        constant = OUTPUT_START;
        for (size_t i = 0; i < n; i++) {
                uint32_t low = hash(pool[2 * i % POOL_WORDS], &constant, OUTPUT_MULTIPLIER);
                uint32_t high = hash(pool[(2 * i + 1) % POOL_WORDS], &constant, OUTPUT_MULTIPLIER);

                ret_words[i] = (uint64_t) high << 32 | low;
        }
}
