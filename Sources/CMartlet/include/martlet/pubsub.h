/* SPDX-License-Identifier: Apache-2.0
 * martlet/pubsub.h - martlet.pubsub/1: publishing, subscribing, and feeding stored messages to a session.
 */
#ifndef MARTLET_PUBSUB_H
#define MARTLET_PUBSUB_H
#include "plugin.h"
#include "hooks.h"
#include "begin.h"

#define MARTLET_EXT_PUBSUB "martlet.pubsub/1"

/** [loop] A message that matches the plugin's own subscription. Called on the loop that routed it. */
typedef void (*martlet_deliver_fn)(void *MARTLET_OPT user, const martlet_msg *MARTLET_NN, martlet_bytes filter);

/** [loop] The next message of a feed, with one reference for the host; NULL with *more = false ends the feed, NULL
 *  with *more = true yields to other work and asks again. */
typedef martlet_msg *MARTLET_OPT (*martlet_feed_fn)(void *MARTLET_OPT user, bool *MARTLET_NN more);
/** [loop] Exactly once: the feed ended, or the session or the plugin went away. */
typedef void (*martlet_feed_end_fn)(void *MARTLET_OPT user);

typedef struct martlet_feed {
  uint32_t size;
  uint8_t qos;              /**< the subscription's: each message is delivered with the smaller of both */
  bool retain;              /**< the RETAIN flag the client sees                                        */
  uint32_t subscription_id; /**< 0: none                                                                */
  martlet_feed_fn MARTLET_NN next;
  martlet_feed_end_fn MARTLET_NN end;
  void *MARTLET_OPT user;
} martlet_feed;

typedef struct martlet_pubsub_v1 {
  uint32_t size;
  /** [any] Route a message as if a client had sent it, soon: never inside this call. What one thread publishes keeps its
   *  order. Takes over one reference, also when it fails. With run_hooks the message.publish
   *  chain runs, without this plugin's own hooks. */
  martlet_status (*MARTLET_NN publish)(const martlet_host *MARTLET_NN, martlet_msg *MARTLET_NN msg, bool run_hooks);
  /** [main] A subscription of the plugin itself; it needs no session and keeps no queue. No shared one ($share, $queue). */
  martlet_status (*MARTLET_NN subscribe)(const martlet_host *MARTLET_NN, martlet_bytes filter, uint8_t qos, martlet_deliver_fn MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [main] */
  martlet_status (*MARTLET_NN unsubscribe)(const martlet_host *MARTLET_NN, martlet_token);
  /** [any] Subscribe a client's session on its behalf ("static subscriptions"); takes effect on its loop. All or none:
   *  MARTLET_E_INVAL when one of them could not stand in a SUBSCRIBE. The elements are as long as the first one's `size`.
   *  On the session's loop MARTLET_E_STALE when it is gone; elsewhere it is found out later, and nothing happens. */
  martlet_status (*MARTLET_NN session_subscribe)(const martlet_host *MARTLET_NN, martlet_session, const martlet_sub *MARTLET_NN, size_t n);
  /** [any] Deliver one message to one session as if it matched a subscription of this QoS. Takes one reference, also when
   *  it fails. MARTLET_E_STALE as with session_subscribe. */
  martlet_status (*MARTLET_NN session_deliver)(const martlet_host *MARTLET_NN, martlet_session, martlet_msg *MARTLET_NN msg, uint8_t qos, bool retain);
  /** [loop] of the session, normally inside session.subscribed. The host pulls messages as the client's receive
   *  window and output buffer have room, in slices between other work: a million retained messages neither fill
   *  memory nor delay others. At most one slice is asked for before this returns. The struct is copied; on an error
   *  nothing is kept and `end` is not called. */
  martlet_status (*MARTLET_NN session_feed)(const martlet_host *MARTLET_NN, martlet_session, const martlet_feed *MARTLET_NN);
} martlet_pubsub_v1;

#include "end.h"
#endif
