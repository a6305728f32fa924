/* Types of queues at their declaration: which one it is that says none, and what RabbitMQ would refuse (reference
 * queue-features 0.3, 0.4, 7.1). */
#ifndef BROKER_MODEL_QUEUE_TYPE_H
#define BROKER_MODEL_QUEUE_TYPE_H

struct broker;
struct queue;
struct spec;
struct vhost;

/* The declaration with the type of the virtual host's default, or the broker's; on the heap.  NULL: it is meant as it
 * stands. */
struct spec *queue_type_resolve(const struct broker *b, const struct vhost *v, const struct spec *spec);

/* NULL, or why there can be no such queue where types are strict; on the heap. */
char *queue_type_refuse(const struct broker *b, const struct vhost *v, const struct spec *spec);

/* NULL, or what is different in a queue that is there and may not be; on the heap. */
char *queue_type_redeclare(const struct broker *b, const struct queue *q, const struct spec *spec);
#endif
