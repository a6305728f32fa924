/* A user who may do everything, for tests that are about something else. */
#ifndef TESTS_UNIT_GUEST_H
#define TESTS_UNIT_GUEST_H

#include "broker/model/broker.h"
#include "broker/port/spec.h"

enum { GUEST_SERIAL = 1 }; /* the first user that a broker has */

/* User guest, of any password, with all rights to the virtual host /, as if both had been restored. */
void guest_let_in(struct broker *b);

/* What it attaches with; on the heap. */
struct spec *guest_attach(void);
#endif
