/* SPDX-License-Identifier: Apache-2.0
 * auth_scram against the host in miniature: auth_scram IMAGE
 * The client is written here from RFC 5802 alone and checked against the example of RFC 7677 first.
 */
#include "fakehost.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAST "auth.scram.iterations = 50\n"
#define METHOD "SCRAM-SHA-256"

typedef struct key { unsigned char b[32]; } key;
static key mac(key k, const char *text) {
  key out;
  CHECK(HMAC(EVP_sha256(), k.b, 32, (const unsigned char *)text, strlen(text), out.b, NULL) != NULL);
  return out;
}
static void base64(char *to, key k) { EVP_EncodeBlock((unsigned char *)to, k.b, 32); }

/* The proof and the signature for these messages, from the password and what server-first says. */
static void compute(const char *password, const char *salt64, int rounds, const char *messages, char *proof,
                    char *signature) {
  unsigned char salt[256];
  int len = EVP_DecodeBlock(salt, (const unsigned char *)salt64, (int)strlen(salt64));
  for (size_t i = strlen(salt64); i > 0 && salt64[i - 1] == '='; i--) len--;
  key salted, stored;
  CHECK(PKCS5_PBKDF2_HMAC(password, -1, salt, len, rounds, EVP_sha256(), 32, salted.b));
  key client = mac(salted, "Client Key");
  CHECK(EVP_Digest(client.b, 32, stored.b, NULL, EVP_sha256(), NULL));
  key client_signature = mac(stored, messages), server_signature = mac(mac(salted, "Server Key"), messages);
  for (int i = 0; i < 32; i++) client.b[i] ^= client_signature.b[i];
  base64(proof, client);
  base64(signature, server_signature);
}

typedef struct talk {
  martlet_client client;
  const char *bare, *password, *spoil; /* spoil: what the proof's message says instead of the nonce, or NULL */
  bool again;
  char challenge[1024], final[2048], signature[64], salt[128];
  int rounds;
} talk;

static int32_t begin(fake *f, talk *t, const char *header) {
  char first[2048];
  snprintf(first, sizeof first, "%s%s", header, t->bare);
  int32_t verdict = fake_auth_step(f, (fake_step){t->client, METHOD, first, NULL, 0, t->again});
  if (verdict != MARTLET_CONTINUE) return verdict;
  CHECK(strlen(f->auth_data) < sizeof t->challenge);
  strcpy(t->challenge, f->auth_data);
  return verdict;
}
/* Makes the client-final for the challenge at hand. */
static void prove(talk *t, const char *binding) {
  char nonce[512], messages[4096], proof[64], without[1024];
  CHECK(sscanf(t->challenge, "r=%511[^,],s=%127[^,],i=%d", nonce, t->salt, &t->rounds) == 3);
  snprintf(without, sizeof without, "c=%s,r=%s", binding, t->spoil != NULL ? t->spoil : nonce);
  snprintf(messages, sizeof messages, "%s,%s,%s", t->bare, t->challenge, without);
  compute(t->password, t->salt, t->rounds, messages, proof, t->signature);
  snprintf(t->final, sizeof t->final, "%s,p=%s", without, proof);
}
static int32_t finish(fake *f, talk *t) {
  return fake_auth_step(f, (fake_step){t->client, METHOD, t->final, NULL, 1, t->again});
}
/* The whole exchange; when it succeeds the server's signature must be right. */
static int32_t login(fake *f, talk *t) {
  int32_t verdict = begin(f, t, "n,,");
  if (verdict != MARTLET_CONTINUE) return verdict;
  prove(t, "biws");
  verdict = finish(f, t);
  if (verdict == MARTLET_ALLOW)
    CHECK(strncmp(f->auth_data, "v=", 2) == 0 && strcmp(f->auth_data + 2, t->signature) == 0);
  else
    CHECK(verdict == MARTLET_DENY && f->answer_reason == 0x87 && f->auth_data[0] == 0 && f->auth_username[0] == 0);
  return verdict;
}
static int32_t log_in(fake *f, const char *bare, const char *password) {
  return login(f, &(talk){.client = 7, .bare = bare, .password = password});
}

static void this_client_is_right(void) { /* RFC 7677 section 3 */
  char proof[64], signature[64];
  compute("pencil", "W22ZaJ0SNY7soEsUEjb6gQ==", 4096,
          "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
          "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
          proof, signature);
  CHECK(strcmp(proof, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=") == 0);
  CHECK(strcmp(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == 0);
}

static void users_come_in(const char *image) {
  fake *f = fake_new(FAST "auth.scram.user.two.password = pass=word\nauth.scram.user.two.username = bob\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(fake_ctl(f, "scram_users add alice secret") == MARTLET_OK && strcmp(f->out, "ok\n") == 0);
  CHECK(log_in(f, "n=alice,r=fyko", "secret") == MARTLET_ALLOW && strcmp(f->auth_username, "alice") == 0);
  CHECK(log_in(f, "n=bob,r=fyko,x=ignored", "pass=word") == MARTLET_ALLOW && strcmp(f->auth_username, "bob") == 0);
  CHECK(log_in(f, "n=alice,r=fyko", "Secret") == MARTLET_DENY && log_in(f, "n=bob,r=fyko", "secret") == MARTLET_DENY);
  CHECK(fake_ctl(f, "scram_users list") == MARTLET_OK && strcmp(f->out, "User(alice)\nUser(bob)\n") == 0);
  for (fake_pair *p = f->kv; p != NULL; p = p->next)
    if (strcmp(p->table, "users") == 0)
      CHECK(strncmp(p->value, "SCRAM-SHA-256$50:", 17) == 0 && strstr(p->value, "secret") == NULL);
  CHECK(fake_ctl(f, "scram_users add alice x") == MARTLET_E_EXISTS);
  CHECK(fake_ctl(f, "scram_users passwd alice better") == MARTLET_OK);
  CHECK(log_in(f, "n=alice,r=f", "secret") == MARTLET_DENY && log_in(f, "n=alice,r=f", "better") == MARTLET_ALLOW);
  CHECK(fake_ctl(f, "scram_users del bob") == MARTLET_E_DENIED);
  CHECK(fake_unload(f) == 0);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(log_in(f, "n=alice,r=f", "better") == MARTLET_ALLOW);
  CHECK(fake_ctl(f, "scram_users del alice") == MARTLET_OK && log_in(f, "n=alice,r=f", "better") == MARTLET_DENY);
  f->kv_fails = 1;
  CHECK(fake_ctl(f, "scram_users add carol x") == MARTLET_E_IO && log_in(f, "n=carol,r=f", "x") == MARTLET_DENY);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

/* The keys of RFC 7677's example, as another program would have stored them. */
static void keys_made_elsewhere_are_understood(const char *image) {
  fake *f = fake_new(FAST);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(fake_ctl(f, "scram_users add user x") == MARTLET_OK && fake_ctl(f, "scram_users add bad x") == MARTLET_OK);
  CHECK(fake_unload(f) == 0);
  for (fake_pair *p = f->kv; p != NULL; p = p->next) {
    if (strcmp(p->table, "users") != 0) continue;
    free(p->value);
    p->value = strdup(strcmp(p->key, "user") == 0
                          ? "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                            "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
                          : "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$AAAA:AAAA");
    p->vlen = strlen(p->value);
  }
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(log_in(f, "n=user,r=f", "pencil") == MARTLET_ALLOW && log_in(f, "n=user,r=f", "Pencil") == MARTLET_DENY);
  CHECK(strstr(f->log, "What is stored of user bad is damaged") != NULL);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void strangers_look_like_users(const char *image) {
  fake *f = fake_new(FAST "auth.scram.user.1.username = bob\nauth.scram.user.1.password = b\n");
  char salt[3][128];
  for (int life = 0; life < 2; life++) {
    CHECK(fake_load(f, image) == MARTLET_OK);
    const char *names[] = {"n=mallory,r=f", "n=mallori,r=f", "n=bob,r=f"};
    for (int i = 0; i < 3; i++) {
      talk t = {.client = 7, .bare = names[i], .password = "x"};
      CHECK(login(f, &t) == MARTLET_DENY && t.rounds == 50 && strlen(t.salt) == 24);
      CHECK(life == 0 || strcmp(salt[i], t.salt) == 0); /* the same after a restart */
      strcpy(salt[i], t.salt);
    }
    CHECK(strcmp(salt[0], salt[1]) != 0);
    CHECK(fake_unload(f) == 0);
  }
  fake_free(f);
}

static void a_proof_counts_once_and_for_its_nonce(const char *image) {
  fake *f = fake_new(FAST "auth.scram.user.1.username = alice\nauth.scram.user.1.password = secret\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  talk t = {.client = 7, .bare = "n=alice,r=fyko", .password = "secret"};
  CHECK(login(f, &t) == MARTLET_ALLOW);
  CHECK(finish(f, &t) == MARTLET_DENY);                                         /* no exchange any more */
  CHECK(begin(f, &t, "n,,") == MARTLET_CONTINUE && finish(f, &t) == MARTLET_DENY); /* an old proof, another nonce */
  t.spoil = "fyko";
  CHECK(login(f, &t) == MARTLET_DENY);
  t.spoil = NULL;
  CHECK(begin(f, &t, "n,,") == MARTLET_CONTINUE);
  prove(&t, "eSws"); /* "y,,": not the header that was sent */
  CHECK(finish(f, &t) == MARTLET_DENY);
  CHECK(begin(f, &t, "y,,") == MARTLET_CONTINUE);
  prove(&t, "eSws");
  CHECK(finish(f, &t) == MARTLET_ALLOW);
  talk other = {.client = 9, .bare = "n=alice,r=fyko", .password = "secret"};
  CHECK(begin(f, &t, "n,,") == MARTLET_CONTINUE && begin(f, &other, "n,,") == MARTLET_CONTINUE);
  CHECK(strcmp(t.challenge, other.challenge) != 0);
  prove(&t, "biws"), prove(&other, "biws");
  CHECK(finish(f, &other) == MARTLET_ALLOW && finish(f, &t) == MARTLET_ALLOW);
  CHECK(begin(f, &t, "n,,") == MARTLET_CONTINUE);
  prove(&t, "biws");
  CHECK(fake_ctl(f, "scram_users passwd alice secret") == MARTLET_OK); /* changed in between */
  CHECK(finish(f, &t) == MARTLET_DENY);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void malformed_messages_are_refused(const char *image) {
  fake *f = fake_new(FAST "auth.scram.user.1.username = alice\nauth.scram.user.1.password = secret\n"
                     "auth.scram.user.2.username = a,b=c\nauth.scram.user.2.password = secret\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  const char *bad[] = {"", "n", "n,", "n,,", "n,,n=alice", "n,,r=f", "n,,n=,r=f", "n,,n=alice,r=", "n,,r=f,n=alice",
      "n,,n=alice,r=a b", "n,,n=alice,r=\x7f", "x,,n=alice,r=f", "p=tls-unique,,n=alice,r=f", "n,b=alice,n=alice,r=f",
      "n,a=bob,n=alice,r=f", "n,,m=1,n=alice,r=f", "n,,n=alice,r=f,m=1", "n,,n=a=2,r=f", "n,,n=a=41,r=f",
      "n,,n=al\x01ice,r=f", "n,,n=\xff,r=f", "n,,n=\xc0\x80,r=f", "n,,n=\xed\xa0\x80,r=f", "n,,n=\xe2\x80\xa8,r=f",
      "n,,n=alice,r=f,", "n,,n=alice,r=f,xx", "nn,,n=alice,r=f", "n,,n=\xc2\xad,r=f"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(fake_auth_step(f, (fake_step){7, METHOD, bad[i], NULL, 0, false}) == MARTLET_DENY);
    CHECK(f->answer_reason == 0x87);
  }
  char longest[4000];
  memset(longest, 'a', sizeof longest);
  memcpy(longest, "n,,n=alice,r=", 13);
  longest[sizeof longest - 1] = 0;
  CHECK(fake_auth_step(f, (fake_step){7, METHOD, longest, NULL, 0, false}) == MARTLET_DENY);
  longest[13 + 257] = 0;
  CHECK(fake_auth_step(f, (fake_step){7, METHOD, longest, NULL, 0, false}) == MARTLET_DENY);
  longest[13 + 256] = 0;
  CHECK(fake_auth_step(f, (fake_step){7, METHOD, longest, NULL, 0, false}) == MARTLET_CONTINUE);
  const char *finals[] = {"", "c=biws", "c=biws,r=f", "c=biws,r=f,p=", "c=biws,r=f,p=AAAA", "c=biw,r=f,p=AAAA",
      "p=AAAA"};
  for (size_t i = 0; i < sizeof finals / sizeof *finals; i++) {
    talk t = {.client = 7, .bare = "n=alice,r=f"};
    CHECK(begin(f, &t, "n,,") == MARTLET_CONTINUE);
    CHECK(fake_auth_step(f, (fake_step){7, METHOD, finals[i], NULL, 1, false}) == MARTLET_DENY);
  }
  CHECK(log_in(f, "n=a=2Cb=3Dc,r=f", "secret") == MARTLET_ALLOW && strcmp(f->auth_username, "a,b=c") == 0);
  CHECK(log_in(f, "n=al\xc2\xadice,r=f", "secret") == MARTLET_ALLOW); /* a soft hyphen maps to nothing */
  talk t = {.client = 7, .bare = "n=alice,r=f", .password = "secret"};
  CHECK(begin(f, &t, "n,a=alice,") == MARTLET_CONTINUE);
  prove(&t, "bixhPWFsaWNlLA==");
  CHECK(finish(f, &t) == MARTLET_ALLOW);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void other_methods_and_names(const char *image) {
  fake *f = fake_new(FAST "auth.scram.user.1.username = alice\nauth.scram.user.1.password = secret\n"
                     "auth.scram.user.2.username = bob\nauth.scram.user.2.password = secret\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  const char *methods[] = {NULL, "", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "scram-sha-256"};
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    CHECK(fake_auth_step(f, (fake_step){7, methods[i], "n,,n=alice,r=f", NULL, 0, false}) == MARTLET_IGNORE);
  CHECK(fake_auth_step(f, (fake_step){7, METHOD, "n,,n=alice,r=f", "alice", 0, false}) == MARTLET_CONTINUE);
  CHECK(fake_auth_step(f, (fake_step){7, METHOD, "n,,n=alice,r=f", "bob", 0, false}) == MARTLET_DENY);
  talk same = {.client = 7, .bare = "n=alice,r=f", .password = "secret", .again = true};
  talk another = {.client = 7, .bare = "n=bob,r=f", .password = "secret", .again = true};
  CHECK(login(f, &same) == MARTLET_ALLOW && login(f, &another) == MARTLET_DENY);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void unfinished_exchanges_go_away(const char *image) {
  fake *f = fake_new(FAST "auth.scram.max_exchanges = 64\nauth.scram.timeout = 60s\n"
                     "auth.scram.user.1.username = alice\nauth.scram.user.1.password = secret\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  talk t[40];
  for (int i = 0; i < 40; i++) { /* 32 places on each of the two loops */
    t[i] = (talk){.client = (martlet_client)(100 + i), .bare = "n=alice,r=f", .password = "secret"};
    CHECK(begin(f, &t[i], "n,,") == MARTLET_CONTINUE);
    prove(&t[i], "biws");
  }
  for (int i = 0; i < 40; i++) CHECK(finish(f, &t[i]) == (i < 8 ? MARTLET_DENY : MARTLET_ALLOW));
  t[0].client = 7;
  CHECK(begin(f, &t[0], "n,,") == MARTLET_CONTINUE);
  prove(&t[0], "biws");
  fake_client_hook(f, MARTLET_HOOK_CLIENT_DISCONNECTED, "c1", 0);
  CHECK(finish(f, &t[0]) == MARTLET_DENY);
  CHECK(fake_unload(f) == 0);
  fake_set_conf(f, FAST "auth.scram.timeout = 0s\nauth.scram.user.1.username = alice\n"
                "auth.scram.user.1.password = secret\n");
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(log_in(f, "n=alice,r=f", "secret") == MARTLET_DENY); /* too late */
  CHECK(begin(f, &t[1], "n,,") == MARTLET_CONTINUE);
  fake_timers(f);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

static void what_cannot_be_a_user(const char *image) {
  const char *bad[] = {"auth.scram.user.7.username = admin\n",
                       "auth.scram.user.7.username =\nauth.scram.user.7.password = x\n",
                       "auth.scram.user.7.username = a\x01\nauth.scram.user.7.password = x\n",
                       "auth.scram.user.7.username = a\nauth.scram.user.7.password = \xff\n"};
  const char *why[] = {"auth.scram.user.7.username is set, but auth.scram.user.7.password is not.",
                       "A user name is UTF-8 text of 1 to 1024 bytes without control characters.",
                       "A user name is UTF-8 text of 1 to 1024 bytes without control characters.",
                       "A password is UTF-8 text of at least one byte without control characters."};
  for (int i = 0; i < 4; i++) {
    fake *f = fake_new(bad[i]);
    CHECK(fake_load(f, image) == MARTLET_E_INVAL && strcmp(f->error, why[i]) == 0);
    fake_free(f);
  }
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  this_client_is_right();
  users_come_in(argv[1]);
  keys_made_elsewhere_are_understood(argv[1]);
  strangers_look_like_users(argv[1]);
  a_proof_counts_once_and_for_its_nonce(argv[1]);
  malformed_messages_are_refused(argv[1]);
  other_methods_and_names(argv[1]);
  unfinished_exchanges_go_away(argv[1]);
  what_cannot_be_a_user(argv[1]);
  puts("auth_scram ok");
  return 0;
}
