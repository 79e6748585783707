/* SPDX-License-Identifier: Apache-2.0
 * What clients do with a retainer in the host in miniature.
 */
#ifndef CLIENT_H
#define CLIENT_H
#include "fakehost.h"

/* The text of etc/plugins/retainer.conf; limit: most messages, 0: any number. */
const char *conf_of(const char *dir, const char *storage, int limit);
/* A host with the retainer loaded; it exits with the retainer's sentence when that refuses. */
fake *loaded(const char *image, const char *conf);

/* A retained message of now, or of another time (Unix, ms) with an expiry in seconds. */
void publish(fake *, const char *topic, const char *payload);
void publish_at(fake *, const char *topic, const char *payload, int64_t timestamp_ms, uint32_t expiry_s);
int64_t now_ms(void);

/* handling: of retained messages, 0 send, 1 send when new, 2 do not send. The feed, if there is one, waits. */
void subscribe(fake *, const char *filter, uint8_t handling, bool is_new, const char *group);
/* Pulls the oldest feed to its end: how many messages came, -1 without a feed. They stand in fake->delivered. */
int drain(fake *);
/* A new subscription, drained. */
int matches(fake *, const char *filter);
/* True when the command prints this. */
bool prints(fake *, const char *command, const char *wanted);
#endif
