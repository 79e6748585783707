/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEMPLATE_ECHO_H
#define TEMPLATE_ECHO_H
#include <martlet/martlet.h>

/* What the callbacks need; part of the plugin's state. */
typedef struct echo {
  const martlet_host *host;
  const martlet_net_v1 *net;
  martlet_token udp;
} echo;

/* Sends back what comes in over TCP and UDP, where template.tcp_echo and template.udp_echo name an address. */
martlet_status echo_start(echo *e, const martlet_host *host, const martlet_config_v1 *config);
#endif
