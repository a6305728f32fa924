/* An administrator's questions and changes to a world, for tests: each is carried out at once, and its answer given. */
#ifndef TESTS_UNIT_ASKER_H
#define TESTS_UNIT_ASKER_H

#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "tests/unit/world.h"

/* Takes the inspection, answers it, or NULL: it FAILED.  Earlier events are forgotten. */
struct inspection *asker_inspect(struct world *w, struct inspection *i);

/* One change in the virtual host /, which must not fail; its arguments may be empty. */
void asker_alter(struct world *w, enum change_kind kind, enum definition_class what, const struct spec *spec);

/* The queue is paused, or not any more. */
void asker_pause(struct world *w, const char *queue, bool is_paused);

/* A row's text, or NULL where it has none; the caller gives it to free(). */
char *asker_text(struct bytes row, const char *key);
#endif
