/* SPDX-License-Identifier: Apache-2.0
 * auth_username against the host in miniature: auth_username IMAGE
 */
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAST "auth.username.iterations = 50\n"

static int32_t ask(fake *f, const char *user, const char *password) {
  return fake_auth(f, (fake_client){"c1", user, password, "192.0.2.7:5"});
}
static int32_t ask_now(fake *f, const char *user, const char *password) {
  return fake_auth_direct(f, (fake_client){"c1", user, password, "192.0.2.7:5"});
}
static const char *stored(fake *f, const char *user) {
  for (fake_pair *p = f->kv; p != NULL; p = p->next)
    if (strcmp(p->table, "users") == 0 && strcmp(p->key, user) == 0) return p->value;
  return NULL;
}

static void empty_store_asks_the_next_module(const char *image) {
  fake *f = fake_new(FAST);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(ask(f, "alice", "secret") == MARTLET_IGNORE);
  CHECK(ask(f, NULL, NULL) == MARTLET_IGNORE);
  CHECK(ask(f, "", "x") == MARTLET_IGNORE);
  CHECK(fake_ctl(f, "users list") == MARTLET_OK && f->out[0] == 0);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void conf_users_come_in_and_are_not_stored(const char *image) {
  fake *f = fake_new(FAST
                     "auth.user.1.username = admin\nauth.user.1.password = public\n"
                     "auth.user.two.password = pass=word\nauth.user.two.username = bob\n"
                     "auth.user.3.username =\nauth.user.3.password = public\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(ask(f, "admin", "public") == MARTLET_ALLOW);
  CHECK(ask(f, "bob", "pass=word") == MARTLET_ALLOW);
  CHECK(ask(f, "admin", "publi") == MARTLET_DENY && f->answer_reason == 0);
  CHECK(ask(f, "admin", "") == MARTLET_DENY);
  CHECK(ask(f, "admin", NULL) == MARTLET_DENY);
  CHECK(ask(f, "", "public") == MARTLET_IGNORE);
  CHECK(f->kv == NULL);
  CHECK(fake_ctl(f, "users list") == MARTLET_OK && strcmp(f->out, "User(admin)\nUser(bob)\n") == 0);
  CHECK(fake_ctl(f, "users del admin") == MARTLET_E_DENIED);
  CHECK(strcmp(f->error, "User admin comes from etc/plugins/auth_username.conf: remove it there and reload.") == 0);
  CHECK(fake_ctl(f, "users passwd admin better") == MARTLET_OK);
  CHECK(ask(f, "admin", "public") == MARTLET_DENY && ask(f, "admin", "better") == MARTLET_ALLOW);
  CHECK(fake_unload(f) == 0);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(ask(f, "admin", "better") == MARTLET_ALLOW);
  CHECK(fake_ctl(f, "users del admin") == MARTLET_OK);
  CHECK(ask(f, "admin", "public") == MARTLET_ALLOW);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void half_a_user_stops_the_load(const char *image) {
  fake *f = fake_new(FAST "auth.user.7.username = admin\n");
  CHECK(fake_load(f, image) == MARTLET_E_INVAL);
  CHECK(strcmp(f->error, "auth.user.7.username is set, but auth.user.7.password is not.") == 0);
  fake_free(f);
}

static void users_of_the_store(const char *image) {
  fake *f = fake_new(FAST);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(fake_ctl(f, "users add alice secret") == MARTLET_OK && strcmp(f->out, "ok\n") == 0);
  CHECK(fake_ctl(f, "users add alice other") == MARTLET_E_EXISTS);
  CHECK(strcmp(f->error, "User alice exists; users passwd changes the password.") == 0);
  CHECK(strncmp(stored(f, "alice"), "pbkdf2-sha256$50$", 17) == 0 && strstr(stored(f, "alice"), "secret") == NULL);
  CHECK(fake_ctl(f, "users add twin secret") == MARTLET_OK);
  CHECK(strcmp(stored(f, "alice"), stored(f, "twin")) != 0); /* salted */
  CHECK(ask(f, "alice", "secret") == MARTLET_ALLOW && ask(f, "alice", "other") == MARTLET_DENY);
  CHECK(fake_ctl(f, "users passwd alice other") == MARTLET_OK);
  CHECK(ask(f, "alice", "secret") == MARTLET_DENY && ask(f, "alice", "other") == MARTLET_ALLOW);
  CHECK(fake_ctl(f, "users passwd carol x") == MARTLET_E_NOTFOUND);
  CHECK(strcmp(f->error, "There is no user carol.") == 0);
  CHECK(fake_ctl(f, "users") == MARTLET_E_INVAL && f->error[0] == 0);
  CHECK(fake_ctl(f, "users add alice") == MARTLET_E_INVAL && f->error[0] == 0);
  f->kv_fails = 1;
  CHECK(fake_ctl(f, "users add dave secret") == MARTLET_E_IO && fake_ctl(f, "users del alice") == MARTLET_E_IO);
  CHECK(ask(f, "dave", "secret") == MARTLET_IGNORE && ask(f, "alice", "other") == MARTLET_ALLOW);
  f->kv_fails = 0;
  CHECK(fake_unload(f) == 0);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(ask(f, "alice", "other") == MARTLET_ALLOW);
  CHECK(fake_ctl(f, "users del alice") == MARTLET_OK && stored(f, "alice") == NULL);
  CHECK(ask(f, "alice", "other") == MARTLET_IGNORE);
  CHECK(fake_ctl(f, "users del alice") == MARTLET_E_NOTFOUND);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

/* Known answer: PBKDF2-HMAC-SHA256 of "password" with salt "salt", one round, as other tools give it. */
static void a_hash_made_elsewhere_is_understood(const char *image) {
  fake *f = fake_new(FAST);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(fake_ctl(f, "users add alice x") == MARTLET_OK && fake_ctl(f, "users add broken x") == MARTLET_OK);
  CHECK(fake_unload(f) == 0);
  for (fake_pair *p = f->kv; p != NULL; p = p->next) {
    const char *text = strcmp(p->key, "alice") == 0
                           ? "pbkdf2-sha256$1$73616c74$120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b"
                           : "pbkdf2-sha256$1$73616c74$120f";
    free(p->value);
    p->value = strdup(text);
    p->vlen = strlen(text);
  }
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(ask(f, "alice", "password") == MARTLET_ALLOW && ask(f, "alice", "Password") == MARTLET_DENY);
  CHECK(strstr(f->log, "What is stored of user broken is damaged") != NULL);
  CHECK(ask(f, "broken", "x") == MARTLET_IGNORE);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void a_proven_password_is_cheap_and_a_wrong_one_is_not(const char *image) {
  fake *f = fake_new(FAST);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(fake_ctl(f, "users add alice secret") == MARTLET_OK);
  CHECK(ask_now(f, "alice", "secret") == MARTLET_PENDING);
  fake_pump(f);
  CHECK(f->answered && f->answer_verdict == MARTLET_ALLOW);
  CHECK(ask_now(f, "alice", "secret") == MARTLET_ALLOW);
  for (int i = 0; i < 2; i++) {
    CHECK(ask_now(f, "alice", "wrong") == MARTLET_PENDING);
    fake_pump(f);
    CHECK(f->answer_verdict == MARTLET_DENY);
  }
  CHECK(ask_now(f, "alices", "ecret") == MARTLET_IGNORE);
  CHECK(fake_ctl(f, "users passwd alice secret") == MARTLET_OK); /* same password, new salt */
  CHECK(ask_now(f, "alice", "secret") == MARTLET_PENDING);
  fake_pump(f);
  CHECK(ask_now(f, "alice", "secret") == MARTLET_ALLOW);
  CHECK(fake_ctl(f, "users del alice") == MARTLET_OK);
  CHECK(ask_now(f, "alice", "secret") == MARTLET_IGNORE);
  CHECK(fake_unload(f) == 0);
  fake_set_conf(f, FAST "auth.username.cache_size = 0\nauth.user.1.username = bob\nauth.user.1.password = b\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  for (int i = 0; i < 2; i++) {
    CHECK(ask_now(f, "bob", "b") == MARTLET_PENDING);
    fake_pump(f);
    CHECK(f->answer_verdict == MARTLET_ALLOW);
  }
  CHECK(fake_unload(f) == 0);
  fake_set_conf(f, FAST "auth.username.cache_ttl = 0s\nauth.user.1.username = bob\nauth.user.1.password = b\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(ask(f, "bob", "b") == MARTLET_ALLOW && ask_now(f, "bob", "b") == MARTLET_PENDING);
  fake_pump(f);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void more_users_than_the_cache_holds(const char *image) {
  char conf[8192] = FAST "auth.username.cache_size = 8\n", line[128], name[16];
  for (int i = 0; i < 40; i++) {
    snprintf(line, sizeof line, "auth.user.%d.username = u%d\nauth.user.%d.password = p%d\n", i, i, i, i);
    strcat(conf, line);
  }
  fake *f = fake_new(conf);
  CHECK(fake_load(f, image) == MARTLET_OK);
  int cheap = 0;
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < 40; i++) {
      char password[16];
      snprintf(name, sizeof name, "u%d", i);
      snprintf(password, sizeof password, "p%d", i);
      int32_t first = ask_now(f, name, password);
      cheap += first == MARTLET_ALLOW;
      fake_pump(f);
      CHECK(first == MARTLET_ALLOW || f->answer_verdict == MARTLET_ALLOW);
    }
  CHECK(cheap <= 8);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void strangers_can_be_refused(const char *image) {
  fake *f = fake_new(FAST "auth.username.unknown = deny\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(ask_now(f, "mallory", "x") == MARTLET_PENDING); /* as slow as a wrong password */
  fake_pump(f);
  CHECK(f->answer_verdict == MARTLET_DENY);
  CHECK(ask(f, NULL, NULL) == MARTLET_IGNORE);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void a_full_queue_says_busy(const char *image) {
  fake *f = fake_new(FAST "auth.user.1.username = bob\nauth.user.1.password = b\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  f->busy = 1;
  CHECK(ask(f, "bob", "b") == MARTLET_DENY && f->answer_reason == 0x89);
  f->busy = 0;
  CHECK(ask(f, "bob", "b") == MARTLET_ALLOW);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  empty_store_asks_the_next_module(argv[1]);
  conf_users_come_in_and_are_not_stored(argv[1]);
  half_a_user_stops_the_load(argv[1]);
  users_of_the_store(argv[1]);
  a_hash_made_elsewhere_is_understood(argv[1]);
  a_proven_password_is_cheap_and_a_wrong_one_is_not(argv[1]);
  more_users_than_the_cache_holds(argv[1]);
  strangers_can_be_refused(argv[1]);
  a_full_queue_says_busy(argv[1]);
  puts("auth_username ok");
  return 0;
}
