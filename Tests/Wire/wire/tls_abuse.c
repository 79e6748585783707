/* SPDX-License-Identifier: Apache-2.0
 * A TLS 1.3 client that asks for new keys again and again and reads none of the answers: PORT REQUESTS [CONNECT].
 * With CONNECT, a client identifier, it is an MQTT 3.1.1 client first. Prints how many requests the server took. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 200 };

static int fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  ERR_print_errors_fp(stderr);
  return 1;
}

static int join(SSL *ssl, const char *name) {
  unsigned char packet[64] = {0x10, (unsigned char)(12 + strlen(name)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0};
  packet[13] = (unsigned char)strlen(name);
  memcpy(packet + 14, name, strlen(name));
  int count = 14 + (int)strlen(name);
  unsigned char answer[4];
  return SSL_write(ssl, packet, count) == count && SSL_read(ssl, answer, 4) == 4 && answer[3] == 0 ? 0 : -1;
}

int main(int argc, char **argv) {
  if (argc < 3) return fail("usage: tls_abuse PORT REQUESTS [CONNECT]");
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
  struct timeval patience = {10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd, (struct sockaddr *)&server, sizeof server)) return fail("no connection");
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL *ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  if (SSL_connect(ssl) != 1) return fail("the handshake failed");
  if (argc > 3 && join(ssl, argv[3])) return fail("not accepted");
  BIO *out = BIO_new(BIO_s_mem());
  SSL_set0_wbio(ssl, out);
  long sent = 0, most = atol(argv[2]);
  while (sent < most) {
    for (int i = 0; i < BATCH; i++) {
      SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
      if (SSL_do_handshake(ssl) != 1) return fail("no new keys");
    }
    char *bytes;
    long count = BIO_get_mem_data(out, &bytes);
    for (long at = 0; at < count;) {
      ssize_t n = send(fd, bytes + at, (size_t)(count - at), MSG_NOSIGNAL);
      if (n <= 0) {
        printf("%ld\n", sent);
        return 0;
      }
      at += n;
    }
    (void)BIO_reset(out);
    sent += BATCH;
  }
  printf("%ld\n", sent);
  return 0;
}
