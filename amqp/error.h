/* AMQP exceptions as values.  A handler answers NULL when all is well, or the exception to raise:
 *
 *     return error_create(AMQP_NOT_FOUND, "no previously declared queue");
 *
 * session_raise() is the one place that sends it.
 */
#ifndef AMQP_ERROR_H
#define AMQP_ERROR_H

#include <stdint.h>

#include "base/bytes.h"
#include "broker/port/event.h"
#include "codec/frame.h"

enum {
    ERROR_TEXT_MAX = 255,    /* bytes of a reply text: it is a short string */
    ERROR_OCTETS_SHOWN = 16, /* of a frame that is complained of */
    ERROR_OCTETS_ROOM = 96,  /* characters that error_print_octets() may need for them */
};

enum error_scope { SCOPE_CHANNEL, SCOPE_CONNECTION };

struct error_kind {
    const char *name; /* as reply texts begin: NOT_FOUND */
    uint16_t code;
    enum error_scope scope;
};

#define ERROR(name, code, scope) extern const struct error_kind AMQP_##name[1];
#include "amqp/errors.def"

struct error {
    const struct error_kind *kind;
    uint16_t class_id, method_id;  /* of the method that failed; 0, 0 where the reference says so */
    bool is_placed;                /* the two have been said; else whoever called the handler says them */
    bool is_models;                /* the model said it: it is about a command, so about what came first */
    char text[ERROR_TEXT_MAX + 1]; /* the whole reply text: NOT_FOUND - no queue 'q' in vhost '/' */
};

/* The exception with that explanation, or without one if format is NULL.  The caller owns it and gives it to free(). */
struct error *error_create(const struct error_kind *kind, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

/* Says which method failed (class id << 16 | method id; 0: none), unless that was said before.  Answers e. */
struct error *error_place(struct error *e, uint32_t method_id);

/* What the model's FAILED is in AMQP.  method_id: what the client asked. */
struct error *error_of_event(const struct event *failed, uint32_t method_id);

/* The explanation alone, for the log. */
const char *error_explanation(const struct error *e);

/* A frame that cannot be: FRAME_ERROR - type 5, all octets = <<"abc">>: unknown_frame.  detail may be NULL. */
struct error *error_of_frame(const struct error_kind *kind, const struct frame *f, const char *detail);

/* Bytes as Erlang prints them, <<"abc">> or <<0,20>>, and a list of them, "abc" or [0,20]: cut to fit, terminated.
 * Answers the length. */
size_t error_print_octets(struct bytes b, char *to, size_t room);

/* The same always as numbers: <<122,122>>. */
size_t error_print_numbers(struct bytes b, char *to, size_t room);
size_t error_print_list(struct bytes b, char *to, size_t room);
#endif
