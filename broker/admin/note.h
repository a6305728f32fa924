/* The audit log's lines for what administrators change (base/audit.h). */
#ifndef BROKER_ADMIN_NOTE_H
#define BROKER_ADMIN_NOTE_H

#include "broker/admin/request.h"

/* The answer to an ALTER, EXPEL or CANCEL of that request: a line for everything that has changed, or one for why
 * nothing has. Other answers leave none. */
void note_answer(const struct request *r, const struct event *e);

/* Messages were moved, so many; or, refused, none of them were. */
void note_move(const struct request *r, const struct move *m, uint64_t count);
void note_move_refused(const struct request *r, const char *why);

/* Definitions were imported: so many changes; or, refused, none. */
void note_import(const struct request *r, const struct changes *all, const char *refusal);

/* Somebody sees what becomes of the messages of a queue or an exchange, and their bodies. */
void note_trace(const struct request *r, const char *kind, struct bytes vhost, struct bytes name);

/* The program itself was told to do something; to: what it is to be from now on, or NULL. */
void note_control(const struct request *r, const char *action, const char *to);
#endif
