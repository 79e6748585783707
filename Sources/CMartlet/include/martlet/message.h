/* SPDX-License-Identifier: Apache-2.0
 * martlet/message.h - martlet.message/1: reading, making and keeping messages.
 */
#ifndef MARTLET_MESSAGE_H
#define MARTLET_MESSAGE_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_MESSAGE "martlet.message/1"

typedef struct martlet_msg_fields {
  uint32_t size;
  uint8_t qos;
  bool retain, dup, sys;
  martlet_bytes topic, payload;
  martlet_bytes from_clientid, from_username; /**< empty when the broker or a plugin published it */
  uint64_t id_hi, id_lo;                      /**< unique per message and node, ascending; make() fills 0,0 in */
  int64_t timestamp_ms;                       /**< Unix time at arrival; make() fills 0 in */
  /** MQTT 5 properties to pass on (payload format, content type, response topic, correlation data, user
   *  properties), encoded as in the packet but without the leading length. May be empty. */
  martlet_bytes properties;
  uint32_t expiry_s;      /**< message expiry interval left, in seconds; meaningful only with has_expiry */
  bool has_expiry;
} martlet_msg_fields;

typedef struct martlet_message_v1 {
  uint32_t size;
  /** [any] Fields borrowed from the message: valid while you hold it (in a hook: until the hook returns).
   *  Set out->size before the call. */
  void (*MARTLET_NN read)(const martlet_msg *MARTLET_NN, martlet_msg_fields *MARTLET_NN out);
  /** [any] A new message with a copy of everything; you own one reference. NULL, with the sentence set, for what no client
   *  may be sent: a topic with wildcards, text that is not UTF-8, properties that are cut short, not among those named
   *  above or there twice (user properties may), more than 268,435,455 bytes of payload. */
  martlet_msg *MARTLET_OPT (*MARTLET_NN make)(const martlet_host *MARTLET_NN, const martlet_msg_fields *MARTLET_NN);
  /** [any] Keep a message. Use the pointer that comes back: a message seen in a hook may still live in the receive
   *  buffer, and is copied by the first retain. You own one reference of the result. */
  martlet_msg *MARTLET_NN (*MARTLET_NN retain)(const martlet_msg *MARTLET_NN);
  /** [any] Give one reference back. NULL gives nothing back. */
  void (*MARTLET_NN release)(martlet_msg *MARTLET_NN);
} martlet_message_v1;

#include "end.h"
#endif
