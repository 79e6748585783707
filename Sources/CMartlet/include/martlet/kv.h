/* SPDX-License-Identifier: Apache-2.0
 * martlet/kv.h - martlet.kv/1: small durable tables, one namespace per plugin, in the broker's SQLite file.
 */
#ifndef MARTLET_KV_H
#define MARTLET_KV_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_KV "martlet.kv/1"

/** All functions: [main] and the blocking pool; MARTLET_E_THREAD on a loop, because the disk may block. put and del
 *  are durable when they return MARTLET_OK. Limits: table 64 bytes, key 1 KiB, value 1 MiB. */
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
} martlet_kv_v1;

#include "end.h"
#endif
