/* Answers: which method says that what a client asked was done. */
#ifndef AMQP_ANSWER_H
#define AMQP_ANSWER_H

#include "broker/port/event.h"

struct channel;
struct session;

/* DONE of a channel's command, RESET aside. */
void answer_done(struct session *s, struct channel *c, const struct event *e);
#endif
