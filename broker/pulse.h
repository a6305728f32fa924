/* What a service manager (readiness.h) is told of the server and what it stands on.
 */
#ifndef BROKER_PULSE_H
#define BROKER_PULSE_H

#include "broker/net/server.h"
#include "broker/recovery.h"

struct keeper;
struct readiness;

/* What must move, and who is told whether it does; all borrowed. */
struct pulse {
    struct readiness *readiness;
    struct server *server; /* NULL until there is one */
    struct keeper *keeper;
};

/* The server's, which borrows the pulse. */
struct server_watch pulse_watch(struct pulse *p);

/* And before there is one. */
struct recovery_witness pulse_of_recovery(struct readiness *r);
#endif
