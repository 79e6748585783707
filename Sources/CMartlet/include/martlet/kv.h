/* SPDX-License-Identifier: Apache-2.0
 * martlet/kv.h - martlet.kv/1: small durable tables, one namespace per plugin, in the broker's SQLite file.
 */
#ifndef MARTLET_KV_H
#define MARTLET_KV_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_KV "martlet.kv/1"

/** One change of a table. Passed in arrays, so it never grows. */
typedef struct martlet_kv_change {
  martlet_bytes key;
  martlet_bytes value; /**< not read when the key is removed           */
  bool removes;        /**< take the key out, whether or not it is there */
} martlet_kv_change;

/** All functions: [main] and the blocking pool; MARTLET_E_THREAD on a loop, because the disk may block. put and del
 *  are durable when they return MARTLET_OK, so each waits for the disk: milliseconds. Who has much to write uses
 *  change. Limits: table 64 bytes, key 1 KiB, value 1 MiB. */
typedef struct martlet_kv_v1 {
  uint32_t size;
  martlet_status (*MARTLET_NN put)(const martlet_host *MARTLET_NN, martlet_bytes table, martlet_bytes key, martlet_bytes value);
  /** Calls fn with the value, borrowed; MARTLET_E_NOTFOUND without a call when there is none. */
  martlet_status (*MARTLET_NN get)(const martlet_host *MARTLET_NN, martlet_bytes table, martlet_bytes key,
                                   void (*MARTLET_NN fn)(void *MARTLET_OPT user, martlet_bytes value), void *MARTLET_OPT user);
  /** MARTLET_E_NOTFOUND when there was none. */
  martlet_status (*MARTLET_NN del)(const martlet_host *MARTLET_NN, martlet_bytes table, martlet_bytes key);
  /** Keys that begin with prefix, in byte order; fn returns false to stop. */
  martlet_status (*MARTLET_NN scan)(const martlet_host *MARTLET_NN, martlet_bytes table, martlet_bytes prefix,
                                    bool (*MARTLET_NN fn)(void *MARTLET_OPT user, martlet_bytes key, martlet_bytes value), void *MARTLET_OPT user);
  /** Many changes in their order, all of them or none, durable together when it returns: a hundred thousand wait for the
   *  disk as often as one put. At most 100,000 changes and 64 MiB of keys and values in a call. Only when `size` reaches
   *  over it. */
  martlet_status (*MARTLET_NN change)(const martlet_host *MARTLET_NN, martlet_bytes table, const martlet_kv_change *MARTLET_OPT changes, size_t n);
} martlet_kv_v1;

#include "end.h"
#endif
