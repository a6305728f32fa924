/* Which rights a command needs: one table of all of them (reliability C15, reference queue-features 12.2). */
#ifndef BROKER_MODEL_RIGHTS_H
#define BROKER_MODEL_RIGHTS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "broker/model/access.h"
#include "broker/port/event.h"

struct broker;
struct exchange;
struct message;
struct stream;

/* May the stream's user do that?  Otherwise the command has failed, and is dropped.  Comes before every look at what
 * there is, so that a refusal tells nothing; with what is wrong with its names alone, in the order of reference
 * amqp-protocol 4.7.  A publish is judged by rights_permit_publish(), which its handler calls
 * unless it goes where the last one went. */
bool rights_permit(struct broker *b, struct command *c, const struct stream *s);

/* To the exchange of that name; and, when that was found, with these keys.  The command has failed, and is the
 * caller's. */
bool rights_permit_publish(struct broker *b, const struct command *c, const struct stream *s);
bool rights_permit_keys(struct broker *b, const struct command *c, const struct stream *s, const struct exchange *x);

/* The exchange that the message itself names for its dead letter. */
bool rights_permit_dead_letter(struct broker *b, const struct command *c, const struct stream *s);

/* ---- The same for a user whom an administration speaks for, and who has no stream.  NULL: permitted; else the words
 * of the refusal, on the heap.  rights_refuse(): what a client's command with that verb and spec would need. */
char *rights_refuse(struct broker *b, struct access *a, enum verb verb, const struct spec *spec, enum reason *why);
char *rights_refuse_right(struct broker *b, struct access *a, enum right right, enum resource what, struct bytes name);

/* To publish the message there, which takes the right to write to the exchange besides. */
char *rights_refuse_keys(struct broker *b, struct access *a, const struct exchange *x, const struct message *m);
#endif
