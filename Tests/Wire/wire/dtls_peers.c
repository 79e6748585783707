/* SPDX-License-Identifier: Apache-2.0
 * Many DTLS clients of one server on this machine, each with a socket of its own: PORT COUNT [half | CERT KEY].
 * Prints "ready" once all have shaken hands (half: once all have answered the server's cookie and are deaf from then
 * on), and goes without a goodbye when its input ends. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  ERR_print_errors_fp(stderr);
  return 1;
}

static int socket_to(const struct sockaddr_in *server) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct timeval patience = {10, 0};
  if (fd < 0 || connect(fd, (const struct sockaddr *)server, sizeof *server)) return -1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

/* The two hellos, and whatever the server says to the second one stays unread. */
static int half(SSL *ssl, int fd) {
  char datagram[2048];
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(ssl, in, out);
  for (int round = 0; round < 2; round++) {
    SSL_do_handshake(ssl);
    int count = BIO_read(out, datagram, sizeof datagram);
    if (count <= 0 || send(fd, datagram, (size_t)count, 0) != count) return -1;
    if (round == 1) break;
    count = (int)recv(fd, datagram, sizeof datagram, 0);
    if (count <= 0) return -1;
    BIO_write(in, datagram, count);
  }
  return (int)recv(fd, datagram, sizeof datagram, MSG_PEEK) > 0 ? 0 : -1;
}

static int whole(SSL *ssl, int fd, const struct sockaddr_in *server) {
  BIO *bio = BIO_new_dgram(fd, BIO_NOCLOSE);
  BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, (void *)server);
  SSL_set_bio(ssl, bio, bio);
  if (SSL_connect(ssl) != 1) return -1;
  char answer[16];
  return SSL_write(ssl, "hello", 5) == 5 && SSL_read(ssl, answer, sizeof answer) == 5 ? 0 : -1;
}

int main(int argc, char **argv) {
  if (argc < 3) return fail("usage: dtls_peers PORT COUNT [half | CERT KEY]");
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SSL_CTX *context = SSL_CTX_new(DTLS_client_method());
  SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU);
  if (argc > 4 && (SSL_CTX_use_certificate_chain_file(context, argv[3]) != 1 ||
                   SSL_CTX_use_PrivateKey_file(context, argv[4], SSL_FILETYPE_PEM) != 1)) {
    return fail("the certificate cannot be used");
  }
  for (int i = 0; i < atoi(argv[2]); i++) {
    int fd = socket_to(&server);
    SSL *ssl = SSL_new(context);
    SSL_set_mtu(ssl, 1200);
    SSL_set_connect_state(ssl);
    if (fd < 0 || (argc == 4 ? half(ssl, fd) : whole(ssl, fd, &server))) return fail("a handshake failed");
    /* No goodbye. */
    SSL_set_quiet_shutdown(ssl, 1);
    SSL_free(ssl);
  }
  puts("ready");
  fflush(stdout);
  char byte;
  return read(0, &byte, 1) < 0;
}
