/* A queue's options: completed when it is made, changed by policies and administrators while it works (reference
 * queue-features 8.3).
 */
#ifndef BROKER_MODEL_QUEUE_CHANGE_H
#define BROKER_MODEL_QUEUE_CHANGE_H

struct broker;
struct queue;
struct queue_options;
struct spec;

/* Its options are these, and what is so where nobody says otherwise; nothing follows from it yet. */
void queue_set_options(const struct broker *b, struct queue *q, const struct queue_options *options);

/* Its rate is what the options say; a rate of 0 is none: nobody makes a queue that nobody may publish to. */
void queue_set_pace(struct broker *b, struct queue *q);

/* Its options are these from now on; what follows from that, at once. */
void queue_change_options(struct broker *b, struct queue *q, const struct queue_options *options);

/* It is as if it had been declared so; flags do not count.  refuse: NULL, or why that cannot be, on the heap. */
char *queue_refuse_change(const struct queue *q, const struct spec *spec);
void queue_change_arguments(struct broker *b, struct queue *q, const struct spec *spec);
#endif
