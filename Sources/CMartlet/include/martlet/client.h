/* SPDX-License-Identifier: Apache-2.0
 * martlet/client.h - martlet.client/1: what the broker knows of a connected client.
 */
#ifndef MARTLET_CLIENT_H
#define MARTLET_CLIENT_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_CLIENT "martlet.client/1"

enum {
  MARTLET_CL_CLIENTID, MARTLET_CL_USERNAME,
  MARTLET_CL_PEER,       /**< "192.0.2.7:51234", "[2001:db8::1]:51234" */
  MARTLET_CL_LISTENER,   /**< "tcp:external"                           */
  MARTLET_CL_ZONE, MARTLET_CL_MOUNTPOINT,
  MARTLET_CL_CERT_CN,    /**< "device-1": of the certificate it proved to have; empty without one */
  MARTLET_CL_CERT_DN,    /**< "CN=device-1,O=Acme" (RFC 2253)          */
  MARTLET_CL_PROTO_NAME, /**< "MQIsdp" or "MQTT"                       */
  MARTLET_CL_PROTO_VER   /**< "3", "4" or "5"                          */
};

typedef struct martlet_client_v1 {
  uint32_t size;
  /** [loop] of that client. Borrowed. MARTLET_E_STALE when it is gone, MARTLET_E_NOTFOUND when the field is empty. */
  martlet_status (*MARTLET_NN get)(const martlet_host *MARTLET_NN, martlet_client, int32_t field, martlet_bytes *MARTLET_NN out);
  /** [any but another loop] Copies up to cap bytes and returns the full length; 0 when gone or empty. May wait for
   *  the client's loop, so not for a data path. */
  size_t (*MARTLET_NN copy)(const martlet_host *MARTLET_NN, martlet_client, int32_t field, uint8_t *MARTLET_OPT dst, size_t cap);
  /** [any] Close the connection; MQTT 5 clients get DISCONNECT with this reason code first. It happens on the client's
   *  loop, later: elsewhere MARTLET_OK means that it is on its way, whether or not the client is still there. */
  martlet_status (*MARTLET_NN kick)(const martlet_host *MARTLET_NN, martlet_client, uint8_t reason_code);
  /** [any but a loop] The connection of a client id, 0 when it is not connected. */
  martlet_client (*MARTLET_NN by_clientid)(const martlet_host *MARTLET_NN, martlet_bytes clientid);
} martlet_client_v1;

#include "end.h"
#endif
