/* What runs while the broker serves: the model that was recovered, the keeper of the journal, the server's threads and
 * the administration, and how they know one another. */
#ifndef BROKER_SERVING_H
#define BROKER_SERVING_H

struct arguments;
struct config;
struct control;
struct keeper;
struct readiness;
struct server;
struct server_sockets;
struct wiring;

/* All borrowed. */
struct serving {
    const struct arguments *arguments; /* what led to the configuration: at a hangup it is read again */
    struct config *config;
    struct wiring *wiring;
    struct readiness *readiness;
    /* While it serves; before that they are NULL: */
    struct server *server;
    struct keeper *keeper;
    struct control *control;
};

/* Recovers what is on disk and serves until it is told to stop; takes over the sockets.  The exit status; what is wrong
 * has been said. */
int serving_run(struct serving *s, struct server_sockets *sockets);
#endif
