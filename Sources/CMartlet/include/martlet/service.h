/* SPDX-License-Identifier: Apache-2.0
 * martlet/service.h - martlet.service/1 and martlet.dynamic/1: plugin to plugin.
 */
#ifndef MARTLET_SERVICE_H
#define MARTLET_SERVICE_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_SERVICE "martlet.service/1"
#define MARTLET_EXT_DYNAMIC "martlet.dynamic/1"

/** A C table shared by a header both sides know. A provider cannot be unloaded while its service is borrowed. */
typedef struct martlet_service_v1 {
  uint32_t size;
  /** [main] id "store/1"; those that begin with "martlet." are the broker's. `table` must stay where it is until stop(). */
  martlet_status (*MARTLET_NN provide)(const martlet_host *MARTLET_NN, const char *MARTLET_NN id, const void *MARTLET_NN table, martlet_token *MARTLET_OPT out);
  /** [main] NULL when nobody provides it. */
  const void *MARTLET_OPT (*MARTLET_NN borrow)(const martlet_host *MARTLET_NN, const char *MARTLET_NN id, martlet_token *MARTLET_NN out);
  /** [main] */
  void (*MARTLET_NN give_back)(const martlet_host *MARTLET_NN, martlet_token);
} martlet_service_v1;

/** One argument or result of a dynamic call; which member counts is told by the signature. */
typedef union martlet_value {
  int32_t i;           /**< 'i' */
  int64_t l;           /**< 'l' */
  double d;            /**< 'd' */
  bool b;              /**< 'b' */
  const void *MARTLET_OPT p; /**< 'p' */
  martlet_bytes s;     /**< 's' borrowed bytes, passed by value */
} martlet_value;

/** Calls without a shared header. A signature is RESULT(ARGS) in the letters of martlet_value, with 'v' for no
 *  result: "i(ss)", "v(pl)". The function behind it is an ordinary C function of that type with a leading
 *  `void *user`; the host calls it through libffi (about 75 ns). For fixed hook points use hooks.h. */
typedef struct martlet_dynamic_v1 {
  uint32_t size;
  /** [main] Offer fn as `name` ("geo.lookup"). */
  martlet_status (*MARTLET_NN define)(const martlet_host *MARTLET_NN, const char *MARTLET_NN name, const char *MARTLET_NN signature, void (*MARTLET_NN fn)(void), void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [any] Call by name. MARTLET_E_NOTFOUND: nobody offers it; MARTLET_E_INVAL: `signature` is not the defined one. */
  martlet_status (*MARTLET_NN call)(const martlet_host *MARTLET_NN, const char *MARTLET_NN name, const char *MARTLET_NN signature, const martlet_value *MARTLET_OPT args, size_t nargs, martlet_value *MARTLET_OPT result);
  /** [main] A hook point of the plugin's own, always of result 'i' (MARTLET_NEXT or MARTLET_STOP). Who joined it before
   *  with another signature is not called, and is named in the log. */
  martlet_status (*MARTLET_NN define_hook)(const martlet_host *MARTLET_NN, const char *MARTLET_NN name, const char *MARTLET_NN signature, martlet_token *MARTLET_OPT out);
  /** [main] Join a hook point, defined already or later. */
  martlet_status (*MARTLET_NN hook)(const martlet_host *MARTLET_NN, const char *MARTLET_NN name, const char *MARTLET_NN signature, int32_t priority, void (*MARTLET_NN fn)(void), void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [any] Run all who joined, by priority, until one returns MARTLET_STOP. Returns how many ran, or an error. */
  martlet_status (*MARTLET_NN run_hook)(const martlet_host *MARTLET_NN, const char *MARTLET_NN name, const martlet_value *MARTLET_OPT args, size_t nargs);
} martlet_dynamic_v1;

#include "end.h"
#endif
