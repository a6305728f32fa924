/* SASL: who a client says it is (reference amqp-protocol 2.4).  Mechanisms PLAIN and AMQPLAIN; none has a challenge. */
#ifndef AMQP_SASL_H
#define AMQP_SASL_H

#include "base/bytes.h"

#define SASL_MECHANISMS "PLAIN AMQPLAIN" /* as connection.start offers them */

enum sasl_verdict {
    SASL_OK,
    SASL_UNKNOWN,   /* a mechanism that was not offered */
    SASL_MALFORMED, /* not a response of that mechanism */
    SASL_REFUSED,   /* well-formed, and no login */
};

/* Takes user and password from a response; both point into it. */
enum sasl_verdict sasl_read(struct bytes mechanism, struct bytes response, struct bytes *user, struct bytes *password);
#endif
