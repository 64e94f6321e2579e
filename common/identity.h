/* The identity by which the predecessor systems named a session: an md5 over canonical JSON of what
 * a client put into initialize's params.clientInfo. It is not unique (two rollouts of one row share
 * it), so it serves as an alias, and as a key only where a server asks for that. */
#pragma once

#include "common/json_scan.h"

#define IDENTITY_KEY_MAX 256 /* bytes of a client-supplied _extra.session_id */
#define IDENTITY_SIZE 264    /* room for it, or for the 32 digits of an md5 */

/* Identity of a validated clientInfo object: _extra.session_id where it is a string usable as a key
 * (1–256 bytes 0x21–0x7E), else the 32 hex digits of
 * md5(canonical {"config":…,"name":…,"seed":…,"version":…}), keys sorted by code point at every
 * level, separators ", " and ": ", non-ASCII as \uXXXX, numbers as they came, a missing seed null, a
 * missing config {}.
 * -ENOENT: there is no _extra object, so the client has no identity. */
int identity_from_client_info(struct json_slice client_info, char ret[static IDENTITY_SIZE]);

/* Canonical form alone, for tests and for other hashes; *ret is the caller's. */
int identity_canonical_json(struct json_slice value, char **ret, size_t *ret_size);

/* The seed a client chose: _extra.seed, else _extra.config.seed: 0, or -ENOENT when none is an integer. */
int identity_seed(struct json_slice client_info, int64_t *ret);
