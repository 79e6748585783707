/* SPDX-License-Identifier: Apache-2.0 */
#include "echo.h"

static void *opened(void *user, martlet_conn connection, const martlet_addr *peer) {
  (void)connection;
  (void)peer;
  return user;
}
static size_t data(void *user, martlet_conn connection, void *mine, martlet_bytes bytes) {
  echo *e = user;
  (void)mine;
  if (e->net->send(e->host, connection, bytes) != MARTLET_E_BUSY) return bytes.len;
  /* It does not read: nothing more is taken from it until there is room again. */
  e->net->pause(e->host, connection);
  return 0;
}
static void writable(void *user, martlet_conn connection, void *mine) {
  echo *e = user;
  (void)mine;
  e->net->resume(e->host, connection);
}
static void closed(void *user, martlet_conn connection, void *mine, martlet_status why) {
  (void)user;
  (void)connection;
  (void)mine;
  (void)why;
}
/* With this function clients stay connected through `plugins reload`. */
static void *rebound(void *user, martlet_conn connection, const martlet_addr *peer, martlet_bytes state) {
  (void)state;
  return opened(user, connection, peer);
}
static void datagram(void *user, const martlet_addr *peer, martlet_bytes bytes) {
  echo *e = user;
  e->net->sendto(e->host, e->udp, peer, bytes);
}

martlet_status echo_start(echo *e, const martlet_host *host, const martlet_config_v1 *config) {
  static const martlet_conn_cb calls = {.size = sizeof calls, .opened = opened, .data = data, .writable = writable,
                                        .closed = closed, .rebound = rebound};
  martlet_bytes address;
  e->host = host;
  e->net = host->get_extension(host, MARTLET_EXT_NET);
  martlet_status status = config->get_string(host, "template.tcp_echo", &address);
  if (status == MARTLET_OK && e->net == NULL) return MARTLET_E_UNSUPPORTED;
  if (status == MARTLET_OK) status = e->net->listen_tcp(host, "tcp_echo", address, NULL, &calls, e, NULL);
  if (status != MARTLET_OK && status != MARTLET_E_NOTFOUND) return status;
  status = config->get_string(host, "template.udp_echo", &address);
  if (status == MARTLET_OK && e->net == NULL) return MARTLET_E_UNSUPPORTED;
  if (status == MARTLET_OK) status = e->net->listen_udp(host, "udp_echo", address, NULL, datagram, e, &e->udp);
  return status == MARTLET_E_NOTFOUND ? MARTLET_OK : status;
}
