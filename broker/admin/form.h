/* Forms with files, as browsers and curl -F send them (multipart/form-data). */
#ifndef BROKER_ADMIN_FORM_H
#define BROKER_ADMIN_FORM_H

#include <stdbool.h>

#include "base/bytes.h"

enum { FORM_PARTS_MAX = 16 };

/* Is that the Content-Type of one?  NULL is none. */
bool form_is_one(const char *content_type);

/* The content of the part of that name, a view into body.  False: there is none, or that is no form. */
bool form_find(const char *content_type, struct bytes body, const char *name, struct bytes *content);
#endif
