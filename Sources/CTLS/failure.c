/* SPDX-License-Identifier: Apache-2.0
 * Why a stream failed: a few kinds to count, and OpenSSL's own words.
 */
#include "internal.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>
#include <string.h>

static int kind_of_reason(int reason) {
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_RECORD_LENGTH_MISMATCH: return CTLS_FAILURE_NOT_TLS;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH: return CTLS_FAILURE_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM: return CTLS_FAILURE_CIPHER;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return CTLS_FAILURE_NO_CERTIFICATE;
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return CTLS_FAILURE_CERTIFICATE;
    case SSL_R_PSK_IDENTITY_NOT_FOUND:
    case SSL_R_BAD_PSK:
    case SSL_R_BINDER_DOES_NOT_VERIFY: return CTLS_FAILURE_IDENTITY;
    case SSL_R_NO_APPLICATION_PROTOCOL: return CTLS_FAILURE_PROTOCOL;
    default: return CTLS_FAILURE_OTHER;
  }
}

static int kind_of(const ctls_stream *s, unsigned long code) {
  if (s->lacks_protocol) return CTLS_FAILURE_PROTOCOL;
  int reason = ERR_GET_REASON(code);
  bool is_alert = ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET;
  int kind = is_alert ? CTLS_FAILURE_REFUSED : ERR_GET_LIB(code) == ERR_LIB_SSL ? kind_of_reason(reason) : 0;
  if (SSL_is_init_finished(s->ssl)) return kind;
  /* Who is not known by its key meets a certificate it did not expect, or nothing in common; a wrong key shows in TLS
     1.2 as a record that cannot be decrypted. */
  bool by_key = s->identity_unknown || s->identity;
  if (by_key && kind != CTLS_FAILURE_NO_CERTIFICATE && kind != CTLS_FAILURE_CERTIFICATE) return CTLS_FAILURE_IDENTITY;
  return kind;
}

void ctls_note_failure(ctls_stream *s) {
  unsigned long code = ERR_peek_error();
  s->failure = kind_of(s, code);
  const char *text = ERR_reason_error_string(code);
  if (ERR_GET_REASON(code) > SSL_AD_REASON_OFFSET && ERR_GET_LIB(code) == ERR_LIB_SSL) {
    text = SSL_alert_desc_string_long(ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET);
  } else if (s->failure == CTLS_FAILURE_CERTIFICATE) {
    text = X509_verify_cert_error_string(SSL_get_verify_result(s->ssl));
  } else if (s->identity_unknown && !s->identity) {
    text = "the identity of its shared key is not known";
  } else if (s->lacks_protocol) {
    text = "no application protocol";
  }
  s->failure_text = strdup(text ? text : "the connection broke off");
  ERR_clear_error();
}

int ctls_stream_failure(const ctls_stream *s) { return s->failure; }

const char *ctls_stream_failure_text(const ctls_stream *s) { return s->failure_text ? s->failure_text : ""; }
