/* Documents of definitions, read or refused; what is otherwise than it should be fails the test. */
#ifndef TESTS_UNIT_DOCUMENT_H
#define TESTS_UNIT_DOCUMENT_H

#include "base/bytes.h"
#include "broker/admin/definitions.h"
#include "broker/port/change.h"

struct broker;

/* Everything that there is, as small as it can be. */
extern const char document_small[];

/* What definitions_read() makes of it: there must be nothing wrong.  The caller destroys it. */
struct changes *document_read_for(struct bytes text, const struct bytes *vhost, const struct definitions_options *o);
struct changes *document_read(const char *text);

/* It is refused, with a text that has part in it. */
void document_refused_for(struct bytes text, const struct definitions_options *o, const char *part);
void document_refused(const char *text, const char *part);

/* Carries the changes out, all of which must be possible; takes them, and answers them as they came back. */
struct changes *document_make(struct broker *b, struct changes *c);

/* How many of them came out so. */
size_t document_count(const struct changes *c, enum change_outcome outcome);
#endif
