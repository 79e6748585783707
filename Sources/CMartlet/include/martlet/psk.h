/* SPDX-License-Identifier: Apache-2.0
 * martlet/psk.h - martlet.psk/1: the keys of TLS clients that come with a shared key instead of a certificate.
 *
 * A `decide` chain for listeners with psk = on or only: while a client shakes hands, modules are asked by descending
 * priority for the key of the identity it names; the first that knows it counts. If none does, the handshake fails and
 * is counted as tls_unknown_psk. TLS 1.2 and 1.3 ask alike; a TLS 1.3 key belongs to SHA-256.
 */
#ifndef MARTLET_PSK_H
#define MARTLET_PSK_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_PSK "martlet.psk/1"

/** No key is longer, in bytes. */
#define MARTLET_PSK_MAX_KEY 64

/** [loop] Writes the key of `identity` (1 to 255 bytes of UTF-8) to `key`, which has room for `cap` bytes, at least
 *  MARTLET_PSK_MAX_KEY, and returns its length; 0 when this module does not know the identity. It runs inside the
 *  handshake: the answer must be in memory. */
typedef size_t (*martlet_psk_fn)(void *MARTLET_OPT user, martlet_bytes identity, uint8_t *MARTLET_NN key, size_t cap);

typedef struct martlet_psk_v1 {
  uint32_t size;
  /** [main] Ask this function too. Several plugins may offer keys. */
  martlet_status (*MARTLET_NN add)(const martlet_host *MARTLET_NN, int32_t priority, martlet_psk_fn MARTLET_NN fn, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
} martlet_psk_v1;

#include "end.h"
#endif
