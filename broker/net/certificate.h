/* Names in certificates: who a peer is by its certificate, and what listings show of it, in RabbitMQ's words
 * (reference queue-features 12.5).
 *
 * A certificate's texts are what somebody else has written: they are checked to be UTF-8 without NUL, and escaped.
 */
#ifndef BROKER_NET_CERTIFICATE_H
#define BROKER_NET_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

struct x509_st;

enum { CERTIFICATE_NAME_MAX = 255, CERTIFICATE_TEXT_MAX = 1024 };

enum login_from { LOGIN_FROM_DISTINGUISHED_NAME, LOGIN_FROM_COMMON_NAME, LOGIN_FROM_SUBJECT_ALTERNATIVE_NAME };
enum san_type { SAN_DNS, SAN_IP, SAN_EMAIL, SAN_URI, SAN_OTHER_NAME };

/* The user name that it stands for, for the caller to free; NULL: there is none, it is longer than
 * CERTIFICATE_NAME_MAX, or it is not text. */
char *certificate_login_name(const struct x509_st *x, enum login_from from, enum san_type type, unsigned index);

/* Subject and issuer as RFC 4514 wants them, most specific first, at most CERTIFICATE_TEXT_MAX bytes or cut there;
 * "2026-11-21T18:38:57Z - 2027-11-21T18:38:57Z".  For the caller to free. */
char *certificate_subject(const struct x509_st *x);
char *certificate_issuer(const struct x509_st *x);
char *certificate_validity(const struct x509_st *x);
#endif
