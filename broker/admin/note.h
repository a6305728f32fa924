/* The audit log's lines for what administrators change (base/audit.h). */
#ifndef BROKER_ADMIN_NOTE_H
#define BROKER_ADMIN_NOTE_H

#include "broker/admin/request.h"

/* The answer to an ALTER or EXPEL of that request: a line for everything that has changed, or one for why nothing has.
 * Other answers leave none. */
void note_answer(const struct request *r, const struct event *e);
#endif
