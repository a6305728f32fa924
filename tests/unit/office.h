/* An administrator who says who may do what in a world, and clients who try. */
#ifndef TESTS_UNIT_OFFICE_H
#define TESTS_UNIT_OFFICE_H

#include <stdbool.h>

#include "broker/port/change.h"
#include "tests/unit/world.h"

enum { OFFICE_DESK = 0 /* the administrator's slot */, OFFICE_TEXT_MAX = 200 };

/* ---- The administrator.  Answers are the last event, whatever came before it, and the world's. */

struct event *office_say(struct world *w, struct command c);
struct event *office_alter(struct world *w, struct changes *all);

/* One change, which must not be refused; or must be, and why it is. */
enum change_outcome office_change(struct world *w, enum change_kind kind, enum definition_class what, struct spec spec);
enum reason office_refusal(struct world *w, enum change_kind kind, enum definition_class what, struct spec spec);

void office_add_user(struct world *w, const char *name);

/* A table of texts: keys and values, and NULL behind them. */
struct bytes office_table(uint8_t *room, size_t size, const char *const *pairs);

/* In the virtual host /. */
struct spec office_permission(const char *user, struct bytes arguments);
enum change_outcome office_permit(struct world *w, const char *user, const char *configure, const char *write,
                                  const char *read);

/* That key of a user's limits, or of those of the virtual host /, a parameter of this name. */
void office_limit(struct world *w, enum definition_class what, const char *name, const char *key, int64_t n);

/* ---- Clients, on their stream 0. */

/* Logs in and attaches; false: refused, and text (NULL, or OFFICE_TEXT_MAX bytes) says why. */
bool office_enter(struct world *w, unsigned client, const char *user, char *text);
void office_reset(struct world *w, unsigned client);
void office_declare(struct world *w, unsigned client, const char *queue);
void office_publish(struct world *w, unsigned client, const char *exchange, const char *key); /* with a confirm */

/* Of the last event: it is DONE, it is CONFIRMED; it FAILED, with this text. */
bool office_did(const struct world *w);
bool office_has_published(const struct world *w);
const char *office_last_text(const struct world *w);
#endif
