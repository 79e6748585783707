/* SPDX-License-Identifier: Apache-2.0
 * martlet/auth.h - martlet.auth/1 and martlet.acl/1: who may come in, and who may do what.
 *
 * Both are `decide` chains: modules are asked by descending priority, the first answer other than MARTLET_IGNORE
 * counts. If all ignore, mqtt.allow_anonymous and mqtt.acl_nomatch decide. Any value outside the list denies.
 */
#ifndef MARTLET_AUTH_H
#define MARTLET_AUTH_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_AUTH "martlet.auth/1"
#define MARTLET_EXT_ACL "martlet.acl/1"

enum {
  MARTLET_IGNORE = 0,
  MARTLET_ALLOW = 1,
  MARTLET_DENY = 2,
  MARTLET_ERROR = 3,   /**< could not decide: denies, counted and logged as an error           */
  MARTLET_PENDING = 4, /**< defer() was called, the answer follows                              */
  MARTLET_CONTINUE = 5 /**< MQTT 5 enhanced authentication: send auth_data, ask me again (auth) */
};

typedef struct martlet_auth_req {
  uint32_t size;
  martlet_client client;
  martlet_bytes clientid, username, password;
  martlet_bytes peer; /**< "192.0.2.7:51234" */
  bool has_username, has_password;
  martlet_bytes auth_method; /**< MQTT 5 Authentication Method; empty: plain CONNECT                       */
  martlet_bytes auth_data;   /**< of CONNECT or the AUTH packet at hand                                     */
  /** Enhanced authentication: 0 for the CONNECT, then 1, 2 ... for each AUTH; a re-authentication begins at 0. */
  uint32_t step;
  bool reauthenticate;
  const void *MARTLET_OPT ctx; /**< the host's own, for defer() */
} martlet_auth_req;

typedef struct martlet_auth_result {
  uint32_t size;
  int32_t verdict;       /**< used by answer(); in the direct call the return value counts              */
  uint8_t reason_code;   /**< with MARTLET_DENY: MQTT 5 reason code, 0 = 0x86 bad user name or password  */
  bool superuser;        /**< skips the ACL                                                               */
  martlet_bytes username;   /**< replaces the user name when not empty                                    */
  martlet_bytes mountpoint; /**< replaces the mountpoint when not empty                                   */
  martlet_bytes auth_data;  /**< enhanced authentication: data for AUTH or CONNACK                        */
  /** What the person at an MQTT 5 client may read about it, where mqtt.reason_strings is on: UTF-8, at most 1,024
   *  bytes, with MARTLET_DENY instead of the broker's own sentence, with MARTLET_CONTINUE in AUTH. It must not help to
   *  guess: never say which of user name and password was wrong. Only when `size` reaches over it. */
  martlet_bytes reason_string;
} martlet_auth_result;

typedef struct martlet_acl_req {
  uint32_t size;
  martlet_client client;
  martlet_bytes clientid, username, peer;
  martlet_bytes topic; /**< name or filter, without share prefix and mountpoint */
  uint8_t action;      /**< MARTLET_ACL_PUBLISH or MARTLET_ACL_SUBSCRIBE        */
  uint8_t qos;
  bool retain;
  const void *MARTLET_OPT ctx; /**< the host's own, for defer() */
} martlet_acl_req;
enum { MARTLET_ACL_PUBLISH = 1, MARTLET_ACL_SUBSCRIBE = 2 };

/** [loop] Must not block. */
typedef int32_t (*martlet_auth_fn)(void *MARTLET_OPT user, const martlet_auth_req *MARTLET_NN, martlet_auth_result *MARTLET_NN out);
/** [loop] Must not block. An answer is cached per client and topic (mqtt.cache_acl) until invalidate(), but for
 *  MARTLET_ERROR. */
typedef int32_t (*martlet_acl_fn)(void *MARTLET_OPT user, const martlet_acl_req *MARTLET_NN);

typedef struct martlet_auth_v1 {
  uint32_t size;
  /** [main] */
  martlet_status (*MARTLET_NN add)(const martlet_host *MARTLET_NN, int32_t priority, martlet_auth_fn MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [loop] Inside martlet_auth_fn, then return MARTLET_PENDING. timeout_ms 0: the host's auth.defer_timeout, which
   *  is also the upper bound. Without an answer in time the verdict is MARTLET_DENY (0x88 server unavailable). */
  martlet_deferred (*MARTLET_NN defer)(const martlet_auth_req *MARTLET_NN, uint32_t timeout_ms);
  /** [any] Once per defer(). The result is copied. */
  martlet_status (*MARTLET_NN answer)(const martlet_host *MARTLET_NN, martlet_deferred, const martlet_auth_result *MARTLET_NN);
} martlet_auth_v1;

typedef struct martlet_acl_v1 {
  uint32_t size;
  /** [main] */
  martlet_status (*MARTLET_NN add)(const martlet_host *MARTLET_NN, int32_t priority, martlet_acl_fn MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [loop] Inside martlet_acl_fn, then return MARTLET_PENDING. timeout_ms as in martlet.auth/1; without an answer in time
   *  the verdict is MARTLET_DENY, for this packet alone. */
  martlet_deferred (*MARTLET_NN defer)(const martlet_acl_req *MARTLET_NN, uint32_t timeout_ms);
  /** [any] Once per defer(). verdict: MARTLET_ALLOW, MARTLET_DENY, MARTLET_IGNORE or MARTLET_ERROR. */
  martlet_status (*MARTLET_NN answer)(const martlet_host *MARTLET_NN, martlet_deferred, int32_t verdict);
  /** [any] Forget cached answers of one client, or of all with 0: none of before is given once this has returned. */
  martlet_status (*MARTLET_NN invalidate)(const martlet_host *MARTLET_NN, martlet_client or_zero);
  /** [loop] Inside martlet_acl_fn, before it returns MARTLET_ALLOW, MARTLET_DENY or MARTLET_IGNORE: it would be the
   *  same for every topic, QoS and retain flag of this client and action, so the host need not ask for each. Then it is
   *  cached for all of them. It counts only if the modules that were asked before said so too. */
  martlet_status (*MARTLET_NN any_topic)(const martlet_acl_req *MARTLET_NN);
} martlet_acl_v1;

#include "end.h"
#endif
