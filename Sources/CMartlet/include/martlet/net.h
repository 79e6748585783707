/* SPDX-License-Identifier: Apache-2.0
 * martlet/net.h - martlet.net/1: listeners, connections and datagrams that the host owns.
 *
 * A plugin never sees a descriptor. The host accepts, receives, sends, limits and counts; the plugin gets bytes. Each
 * connection belongs to one loop: all callbacks about it run there, never two at the same time. A listener has one
 * socket on every loop, and the kernel deals clients out; one UDP peer always comes in on the same loop.
 *
 * A connection's life: opened (or, for an outgoing one that fails, nothing), data and writable any number of times,
 * closed exactly once, last. After close() and adopt_mqtt() the handle is stale at once and only closed() is still to
 * come. When the plugin stops, its listeners are closed and closed() with MARTLET_E_STATE comes for every connection
 * before stop() is called. What was sent before is still written then.
 *
 * Upgrade: `plugins reload` keeps the sockets. A listener of the new image that has the name of one of the old image
 * takes over that one's connections (and its socket, if the address is the same); an outgoing connection is found by
 * its name in the same way, and connect() with that name answers its handle. For each connection the old image gets
 * leaving(), then the new one rebound(), on the connection's loop; bytes that arrive meanwhile wait, the peer notices
 * nothing. Connections whose name the new image does not register, or whose callbacks have no rebound(), are closed.
 */
#ifndef MARTLET_NET_H
#define MARTLET_NET_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_NET "martlet.net/1"

typedef uint64_t martlet_conn; /**< one connection; 0 is "none". A stale handle is an error code, never a crash. */

/** An address as a value: it never grows, so it needs no size. */
typedef struct martlet_addr {
  uint8_t ip[16];  /**< network order; IPv4 in the first four bytes, the rest 0 */
  uint32_t scope;  /**< interface of a link-local IPv6 address, else 0 */
  uint16_t port;   /**< host order */
  uint8_t version; /**< 4 or 6 */
  uint8_t reserved;
} martlet_addr;

enum { MARTLET_CLOSE_SENT = 0, /**< write what was sent, then say goodbye */ MARTLET_CLOSE_NOW = 1 };
enum { MARTLET_NET_SEND_MAX = 16 << 20 /**< bytes one send() may carry */, MARTLET_NET_DGRAM_MAX = 65507 };

/** What a listener or a connection may use; NULL, a zero, or a member beyond `size` means the default. */
typedef struct martlet_net_options {
  uint32_t size;
  uint32_t max_connections;    /**< of a listener: TCP connections, DTLS associations (10,000) */
  uint32_t backlog;            /**< of a TCP listener (1024) */
  uint32_t max_input;          /**< bytes data() may leave unconsumed before the connection is closed (64 KiB; 16 MiB at most) */
  uint32_t high_water;         /**< bytes waiting to be sent above which send() answers MARTLET_E_BUSY (512 KiB; 64 MiB at most) */
  uint32_t low_water;          /**< and at which writable() comes (a quarter of high_water) */
  uint32_t idle_timeout_ms;    /**< without a received byte (0: never) */
  uint32_t send_timeout_ms;    /**< while the peer takes nothing of what waits (60,000; UINT32_MAX: never) */
  uint32_t connect_timeout_ms; /**< of an outgoing connection, name, TCP and TLS together; of an accepted one, its TLS handshake (10,000) */
  uint32_t reserved;
  martlet_bytes access;      /**< rules, one a line, the first that fits decides: "allow 10.0.0.0/8\ndeny all" */
  martlet_bytes tls_profile; /**< the NAME of tls.NAME.* in the configuration; empty: no TLS */
} martlet_net_options;

/** Callbacks about connections, all [loop], copied by the host. `user` is what was given to listen_tcp or connect,
 *  `mine` what opened() or rebound() returned for this connection. */
typedef struct martlet_conn_cb {
  uint32_t size;
  /** The connection is up (with TLS: the handshake is over). Returns the plugin's own pointer for it. */
  void *MARTLET_OPT (*MARTLET_NN opened)(void *MARTLET_OPT user, martlet_conn, const martlet_addr *MARTLET_NN peer);
  /** Bytes arrived. Returns how many were consumed; the rest comes again, with more (perhaps once without). */
  size_t (*MARTLET_NN data)(void *MARTLET_OPT user, martlet_conn, void *MARTLET_OPT mine, martlet_bytes);
  /** After a send() that answered MARTLET_E_BUSY there is room again; may also come without one. */
  void (*MARTLET_OPT writable)(void *MARTLET_OPT user, martlet_conn, void *MARTLET_OPT mine);
  /** Over. MARTLET_OK: the peer or the plugin closed it, or it was adopted. MARTLET_E_TIMEOUT: connect, idle or send
   *  timeout. MARTLET_E_NOMEM: more than max_input unconsumed. MARTLET_E_NOTFOUND: no such host name.
   *  MARTLET_E_DENIED: TLS failed. MARTLET_E_STATE: the plugin stops. MARTLET_E_IO: refused, reset, anything else.
   *  Without opened() before, `mine` is NULL. */
  void (*MARTLET_NN closed)(void *MARTLET_OPT user, martlet_conn, void *MARTLET_OPT mine, martlet_status why);
  /** Upgrade, old image: the last call about this connection. Free what `mine` holds; `write` what the new image needs
   *  (at most 1 MiB). */
  void (*MARTLET_OPT leaving)(void *MARTLET_OPT user, martlet_conn, void *MARTLET_OPT mine, void (*MARTLET_NN write)(void *MARTLET_OPT to, martlet_bytes), void *MARTLET_OPT to);
  /** Upgrade, new image: instead of opened(). `state` is what the old image wrote. Reading is not paused. */
  void *MARTLET_OPT (*MARTLET_OPT rebound)(void *MARTLET_OPT user, martlet_conn, const martlet_addr *MARTLET_NN peer, martlet_bytes state);
} martlet_conn_cb;

/** A datagram arrived, [loop]; with DTLS, its plain text. */
typedef void (*martlet_dgram_fn)(void *MARTLET_OPT user, const martlet_addr *MARTLET_NN peer, martlet_bytes);

typedef struct martlet_conn_stats {
  uint32_t size;
  uint32_t silent_ms;  /**< since the last received byte */
  uint64_t bytes_in, bytes_out; /**< of the socket: with TLS, the encrypted ones */
  uint64_t waiting;    /**< bytes to be sent */
} martlet_conn_stats;

typedef struct martlet_listener_stats {
  uint32_t size;
  uint32_t current;    /**< connections, DTLS associations */
  uint64_t accepted;   /**< in all */
  uint64_t dgrams_in, dgrams_out, bytes_in, bytes_out; /**< of a UDP listener */
  uint64_t dropped_in; /**< datagrams lost before the plugin saw them: kernel queue full, not allowed, no association */
  uint64_t dropped_out; /**< datagrams the queue or the kernel did not take */
} martlet_listener_stats;

/** What a TLS or DTLS peer can be asked about: whom it has proven to be. A certificate is one that tls.NAME.cacertfile
 *  vouches for; a server asks for one with tls.NAME.verify = verify_peer. All but DER is text. */
enum {
  MARTLET_PROOF_CN = 0,      /**< "device-1": the last common name of its certificate                 */
  MARTLET_PROOF_DN = 1,      /**< RFC 2253: "CN=device-1,O=Acme"                                      */
  MARTLET_PROOF_SUBJECT = 2, /**< in the order of the certificate: "/O=Acme/CN=device-1"              */
  MARTLET_PROOF_SHA256 = 3,  /**< the fingerprint of its certificate, 64 digits in lower case         */
  MARTLET_PROOF_DER = 4,     /**< its certificate, without those between it and its authority         */
  MARTLET_PROOF_PEM = 5,     /**< the same as text                                                    */
  MARTLET_PROOF_PSK = 6      /**< the identity of its shared key; who has one has no certificate      */
};

typedef struct martlet_net_v1 {
  uint32_t size;
  /** [main] Accept TCP connections on addr: "host:port" with a numeric host, "[::1]:port", "*:port", or a port alone;
   *  port 0 is a free one. The socket listens when this returns; connections are accepted once start() has succeeded.
   *  `name` appears in `listeners` as PLUGIN:NAME. */
  martlet_status (*MARTLET_NN listen_tcp)(const martlet_host *MARTLET_NN, const char *MARTLET_NN name, martlet_bytes addr, const martlet_net_options *MARTLET_OPT, const martlet_conn_cb *MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [main] Receive datagrams on addr. */
  martlet_status (*MARTLET_NN listen_udp)(const martlet_host *MARTLET_NN, const char *MARTLET_NN name, martlet_bytes addr, const martlet_net_options *MARTLET_OPT, martlet_dgram_fn MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [main] End a listener and its connections: closed() has come for each when this returns. */
  martlet_status (*MARTLET_NN unlisten)(const martlet_host *MARTLET_NN, martlet_token);
  /** [main] Where a listener listens: port 0 is resolved. */
  martlet_status (*MARTLET_NN listening_on)(const martlet_host *MARTLET_NN, martlet_token, martlet_addr *MARTLET_NN out);
  /** [any] Connect to "host:port"; a name is resolved away from the loops. opened() or closed() follows. `name` may be
   *  empty: then the connection does not live through an upgrade. 10,000 connections of this kind at most. During start()
   *  nothing is sent before it has succeeded. Inside a loop's callback the connection belongs to that loop. */
  martlet_status (*MARTLET_NN connect)(const martlet_host *MARTLET_NN, const char *MARTLET_NN name, martlet_bytes addr, const martlet_net_options *MARTLET_OPT, const martlet_conn_cb *MARTLET_NN, void *MARTLET_OPT user, martlet_conn *MARTLET_OPT out);
  /** [any] Copies the bytes and sends them behind those of earlier calls. MARTLET_E_BUSY: high_water is reached, nothing
   *  was taken and writable() will come. MARTLET_E_STATE: not opened yet. MARTLET_E_STALE: closed. */
  martlet_status (*MARTLET_NN send)(const martlet_host *MARTLET_NN, martlet_conn, martlet_bytes);
  /** [any] MARTLET_CLOSE_SENT or MARTLET_CLOSE_NOW. closed() follows from the connection's loop, not from inside. */
  martlet_status (*MARTLET_NN close)(const martlet_host *MARTLET_NN, martlet_conn, int32_t how);
  /** [any] No data() until resume(); the peer is held back by TCP. */
  martlet_status (*MARTLET_NN pause)(const martlet_host *MARTLET_NN, martlet_conn);
  martlet_status (*MARTLET_NN resume)(const martlet_host *MARTLET_NN, martlet_conn);
  /** [any] MARTLET_E_STATE while an outgoing connection does not know it yet. */
  martlet_status (*MARTLET_NN peer)(const martlet_host *MARTLET_NN, martlet_conn, martlet_addr *MARTLET_NN out);
  /** [loop] */
  martlet_status (*MARTLET_NN local)(const martlet_host *MARTLET_NN, martlet_conn, martlet_addr *MARTLET_NN out);
  /** [loop] Fills what of *out its `size` covers. */
  martlet_status (*MARTLET_NN conn_stats)(const martlet_host *MARTLET_NN, martlet_conn, martlet_conn_stats *MARTLET_NN out);
  /** [main] Fills what of *out its `size` covers. */
  martlet_status (*MARTLET_NN listener_stats)(const martlet_host *MARTLET_NN, martlet_token, martlet_listener_stats *MARTLET_NN out);
  /** [any] Copies one datagram and sends it from a UDP listener. MARTLET_E_BUSY: the queue is full, the datagram is
   *  dropped and counted. MARTLET_E_NOTFOUND: with DTLS, there is no association with this peer. */
  martlet_status (*MARTLET_NN sendto)(const martlet_host *MARTLET_NN, martlet_token, const martlet_addr *MARTLET_NN peer, martlet_bytes);
  /** [loop] Hand the connection to the MQTT core: what is not consumed yet and all that follows is read as MQTT, under
   *  the rules of `zone` (empty: the default one). Inside data() the bytes it returns as consumed are the plugin's, the
   *  rest is MQTT's. What was sent before is written first. closed() follows. MARTLET_E_NOTFOUND: no such zone. */
  martlet_status (*MARTLET_NN adopt_mqtt)(const martlet_host *MARTLET_NN, martlet_conn, martlet_bytes zone);
  /** [any] "192.0.2.7:1883", "[2001:db8::7]:1883": writes at most cap bytes, not terminated; returns the length. 64 are
   *  enough. */
  size_t (*MARTLET_NN format_addr)(const martlet_addr *MARTLET_NN, uint8_t *MARTLET_OPT dst, size_t cap);
  /** [any] The inverse, for numeric addresses. */
  martlet_status (*MARTLET_NN parse_addr)(martlet_bytes text, martlet_addr *MARTLET_NN out);
  /** [loop] What the peer of a connection has proven, MARTLET_PROOF_*: copies at most cap bytes and returns the full
   *  length; 0: there is no such thing, the connection has no TLS, is not opened yet, or gone. A certificate is parsed
   *  for every call: ask once, when the connection opens. */
  size_t (*MARTLET_NN conn_proof)(const martlet_host *MARTLET_NN, martlet_conn, int32_t what, uint8_t *MARTLET_OPT dst, size_t cap);
  /** [loop] The same of a peer of a UDP listener with DTLS; on the loop where its datagrams come in. */
  size_t (*MARTLET_NN dgram_proof)(const martlet_host *MARTLET_NN, martlet_token, const martlet_addr *MARTLET_NN peer, int32_t what, uint8_t *MARTLET_OPT dst, size_t cap);
} martlet_net_v1;

#include "end.h"
#endif
