/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *conf_of(const char *dir, const char *storage, int limit) {
  static char conf[1024];
  snprintf(conf, sizeof conf,
           "retainer.dir = %s\nretainer.storage_type = %s\nretainer.max_message_num = %d\n"
           "retainer.max_payload_size = 1KB\n",
           dir, storage, limit);
  return conf;
}
fake *loaded(const char *image, const char *conf) {
  fake *f = fake_new(conf);
  f->log_level = MARTLET_LOG_WARNING;
  if (fake_load(f, image) != MARTLET_OK) fprintf(stderr, "%s\n", f->error);
  CHECK(f->now.image != NULL && f->error[0] == 0);
  return f;
}

int64_t now_ms(void) { return (int64_t)time(NULL) * 1000; }
void publish_at(fake *f, const char *topic, const char *payload, int64_t timestamp_ms, uint32_t expiry_s) {
  martlet_msg_fields fields = {.size = sizeof fields, .retain = true, .qos = 1, .topic = fake_bytes(topic),
                               .payload = fake_bytes(payload), .timestamp_ms = timestamp_ms, .expiry_s = expiry_s,
                               .has_expiry = expiry_s > 0};
  CHECK(fake_message_of(f, MARTLET_HOOK_MESSAGE_PUBLISH, &fields, NULL, 0) == MARTLET_NEXT);
}
void publish(fake *f, const char *topic, const char *payload) { publish_at(f, topic, payload, now_ms(), 0); }

void subscribe(fake *f, const char *filter, uint8_t handling, bool is_new, const char *group) {
  martlet_sub sub = {.share_group = fake_bytes(group), .qos = 1, .retain_handling = handling, .is_new = is_new,
                     .subscription_id = 7};
  fake_subscribe_of(f, MARTLET_HOOK_SESSION_SUBSCRIBED, "c1", filter, &sub);
}
int drain(fake *f) {
  if (f->nfeeds > 0) CHECK(f->feeds[0].subscription_id == 7 && f->feeds[0].qos == 1 && f->feeds[0].retain);
  f->delivered[0] = 0;
  return fake_pull(f, INT_MAX);
}
int matches(fake *f, const char *filter) {
  subscribe(f, filter, 0, true, "");
  return drain(f);
}
bool prints(fake *f, const char *command, const char *wanted) {
  martlet_status status = fake_ctl(f, command);
  if (status != MARTLET_OK) fprintf(stderr, "%s: status %d, %s\n", command, status, f->error);
  if (strcmp(f->out, wanted) != 0) fprintf(stderr, "%s: got\n%swant\n%s", command, f->out, wanted);
  return status == MARTLET_OK && strcmp(f->out, wanted) == 0;
}
