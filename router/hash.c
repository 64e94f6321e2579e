#include "router/hash.h"

#include <sys/random.h>

struct sip {
        uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
        return (x << bits) | (x >> (64 - bits));
}

static inline void sip_round(struct sip *s)
{
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
        s->v3 ^= word;
        sip_round(s);
        s->v0 ^= word;
}

int hash_seed_init(struct hash_seed *ret)
{
        struct hash_seed seed;
        ssize_t n = getrandom(&seed, sizeof(seed), 0);

        if (n != (ssize_t) sizeof(seed))
                return n < 0 ? -errno : -EIO;
        *ret = seed;
        return 0;
}

uint64_t hash_bytes(const struct hash_seed *seed, const void *data, size_t size)
{
        const unsigned char *p = data;
        uint64_t word = 0;
        size_t left = size;
        struct sip s = {
                .v0 = seed->k0 ^ UINT64_C(0x736f6d6570736575),
                .v1 = seed->k1 ^ UINT64_C(0x646f72616e646f6d),
                .v2 = seed->k0 ^ UINT64_C(0x6c7967656e657261),
                .v3 = seed->k1 ^ UINT64_C(0x7465646279746573),
        };

        for (; left >= sizeof(word); p += sizeof(word), left -= sizeof(word)) {
                memcpy(&word, p, sizeof(word));
                sip_word(&s, word);
        }
        word = 0;
        memcpy(&word, p, left);
        sip_word(&s, word | (uint64_t) size << 56);
        s.v2 ^= 0xff;
        for (unsigned i = 0; i < 3; i++)
                sip_round(&s);
        return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
