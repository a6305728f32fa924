/* SASL: who a client says it is (reference amqp-protocol 2.4).  Mechanisms PLAIN, AMQPLAIN and EXTERNAL; none has a
 * challenge. */
#ifndef AMQP_SASL_H
#define AMQP_SASL_H

#include "base/bytes.h"

enum { SASL_OFFER_ROOM = 32 };

/* How connection.start offers these (enum session_mechanism): "PLAIN AMQPLAIN". */
const char *sasl_offer(unsigned mechanisms, char to[SASL_OFFER_ROOM]);

/* The mechanism of that name; 0: there is none. */
unsigned sasl_find(struct bytes name);

enum sasl_verdict {
    SASL_OK,
    SASL_UNKNOWN,   /* a mechanism that was not offered */
    SASL_MALFORMED, /* not a response of that mechanism */
    SASL_REFUSED,   /* well-formed, and no login */
};

/* Takes user and password from a response of a mechanism among those; both point into it, and are empty for EXTERNAL.
 */
enum sasl_verdict sasl_read(unsigned mechanisms, struct bytes mechanism, struct bytes response, struct bytes *user,
                            struct bytes *password);
#endif
