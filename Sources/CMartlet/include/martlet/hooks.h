/* SPDX-License-Identifier: Apache-2.0
 * martlet/hooks.h - martlet.hooks/1: the thirteen fixed hook points.
 *
 * Kinds: `notify` hooks all run and their result is ignored; `fold` hooks may change the event and may stop the
 * chain. Higher priority runs first, equal priorities in load order. A verdict other than those listed is logged
 * with the plugin's name and counts as MARTLET_NEXT.
 */
#ifndef MARTLET_HOOKS_H
#define MARTLET_HOOKS_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_HOOKS "martlet.hooks/1"

enum {
  MARTLET_HOOK_CLIENT_CONNECTED,     /**< notify; code = CONNACK return or reason code 0; after CONNACK is queued   */
  MARTLET_HOOK_CLIENT_DISCONNECTED,  /**< notify; code = reason code the connection ended with                       */
  MARTLET_HOOK_CLIENT_SUBSCRIBE,     /**< fold; edit subs in place; MARTLET_STOP refuses all of them                  */
  MARTLET_HOOK_CLIENT_UNSUBSCRIBE,   /**< fold; edit topics in place                                                  */
  MARTLET_HOOK_SESSION_CREATED,      /**< notify                                                                      */
  MARTLET_HOOK_SESSION_RESUMED,      /**< notify                                                                      */
  MARTLET_HOOK_SESSION_TERMINATED,   /**< notify; the session handle is already stale                                 */
  MARTLET_HOOK_SESSION_SUBSCRIBED,   /**< notify; one event a filter, subs[0]; is_new tells a first subscription      */
  MARTLET_HOOK_SESSION_UNSUBSCRIBED, /**< notify; one event a filter                                                  */
  MARTLET_HOOK_MESSAGE_PUBLISH,      /**< fold; msg may be replaced; MARTLET_STOP drops it (it is still acknowledged)  */
  MARTLET_HOOK_MESSAGE_DELIVERED,    /**< notify; written to a client, which `client` names                           */
  MARTLET_HOOK_MESSAGE_ACKED,        /**< notify; PUBACK or PUBREC came back                                          */
  MARTLET_HOOK_MESSAGE_DROPPED,      /**< notify; code = MARTLET_DROP_*                                               */
  MARTLET_HOOK_COUNT_V1
};

/** Or'ed to the number of a message hook in add(): it is shown messages with the retain flag alone, and the others cost
 *  nothing. A broker that does not know it answers MARTLET_E_INVAL; add the hook without it then. */
enum { MARTLET_HOOK_RETAIN_ONLY = 0x100 };

enum { MARTLET_NEXT = 0, MARTLET_STOP = 1, MARTLET_DEFER = 2 }; /**< verdicts of a fold hook */

/** Why a message was dropped. `session` and `clientid` name the subscriber, or are empty for the first three. */
enum {
  MARTLET_DROP_NO_SUBSCRIBER = 1,
  MARTLET_DROP_HOOK = 2,        /**< a publish hook answered MARTLET_STOP            */
  MARTLET_DROP_DENIED = 3,      /**< the ACL said no                                 */
  MARTLET_DROP_QUEUE_FULL = 4,  /**< mqueue over max_length                          */
  MARTLET_DROP_QOS0_QUEUE = 5,  /**< QoS 0 for an offline session, store_qos0 = off  */
  MARTLET_DROP_SLOW = 6,        /**< QoS 0 for a client that does not read           */
  MARTLET_DROP_TOO_LARGE = 7,   /**< over the client's Maximum Packet Size           */
  MARTLET_DROP_EXPIRED = 8,     /**< message expiry                                  */
  MARTLET_DROP_SESSION_END = 9, /**< queued for a session that ended                 */
  MARTLET_DROP_COUNT
};

typedef struct martlet_sub {
  uint32_t size;
  martlet_bytes topic;       /**< filter without share prefix and without mountpoint */
  martlet_bytes share_group; /**< empty: not shared                                   */
  uint32_t subscription_id;  /**< 0: none                                             */
  uint8_t qos;               /**< set to 0x80 or above to refuse this filter alone    */
  uint8_t retain_handling;
  bool no_local, retain_as_published;
  bool local;                /**< $local/...                                          */
  bool is_new;               /**< session.subscribed: did not exist before            */
} martlet_sub;

typedef struct martlet_event {
  uint32_t size;
  int32_t hook;
  martlet_client client;   /**< 0 when there is no connection (offline session, plugin's own publish) */
  martlet_session session; /**< 0 when there is none */
  martlet_bytes clientid, username;
  int32_t code;
  /** Message hooks: the message, borrowed. A publish hook may set it to another message of which it owns a
   *  reference; the host takes that reference over. */
  martlet_msg *MARTLET_OPT msg;
  martlet_sub *MARTLET_OPT subs; /**< the next one lies subs->size bytes further: it may be longer than the one you know */
  size_t nsubs;
  const void *MARTLET_OPT ctx; /**< the host's own, for defer() and set_topic() */
} martlet_event;

/** [loop] Must not block. */
typedef int32_t (*martlet_hook_fn)(void *MARTLET_OPT user, martlet_event *MARTLET_NN ev);

typedef struct martlet_hooks_v1 {
  uint32_t size;
  /** [main] topic_filter may be empty (every topic); it is honoured by the message hooks and session.subscribed.
   *  message.publish: it is held against the message as the hooks before have left it. */
  martlet_status (*MARTLET_NN add)(const martlet_host *MARTLET_NN, int32_t hook, int32_t priority, martlet_hook_fn MARTLET_NN,
                                   martlet_bytes topic_filter, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [main] When it returns, fn runs nowhere any more. */
  martlet_status (*MARTLET_NN remove)(const martlet_host *MARTLET_NN, martlet_token);
  /** [loop] Inside client.subscribe or client.unsubscribe: replace the filter of subs[index]. Copied. */
  martlet_status (*MARTLET_NN set_topic)(martlet_event *MARTLET_NN, size_t index, martlet_bytes topic);
  /** [loop] Inside client.subscribe or message.publish: announce that resume() will follow, then return
   *  MARTLET_DEFER. Nothing more is read from that client until then, so its order is kept. 0: not deferrable here.
   *  Without an answer after timeout_ms (0: the host's default, hook.defer_timeout) the verdict is MARTLET_STOP.
   *  What the hooks before this one have changed stays changed; those after it are called when the answer is there. */
  martlet_deferred (*MARTLET_NN defer)(martlet_event *MARTLET_NN, uint32_t timeout_ms);
  /** [any] Once. replacement may be NULL; otherwise its reference goes to the host, also when this fails. */
  martlet_status (*MARTLET_NN resume)(const martlet_host *MARTLET_NN, martlet_deferred, int32_t verdict, martlet_msg *MARTLET_OPT replacement);
} martlet_hooks_v1;

#include "end.h"
#endif
