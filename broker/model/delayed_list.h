/* Listing what an exchange delays, a page at a time: of what is not in memory only the store knows the routing key, so
 * a page is a load, and the answer waits for it.  For delayed.c. */
#ifndef BROKER_MODEL_DELAYED_LIST_H
#define BROKER_MODEL_DELAYED_LIST_H

#include <stdint.h>

#include "broker/port/inspection.h"

struct broker;
struct delayed;
struct load;

/* The position from which the next page wants to be loaded; there is one that waits. */
uint64_t delayed_list_wants(const struct delayed *d);

/* Answers it with what has come. */
void delayed_list_answer(struct broker *b, struct delayed *d, const struct load *l);

/* Answers all that wait: there is nothing any more. */
void delayed_list_forget(struct broker *b, struct delayed *d);
#endif
