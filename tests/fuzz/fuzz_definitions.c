/* Documents of definitions: any bytes are refused or read, the model refuses them or makes all of it, and then what it
 * exports is read again: there it changes nothing, and makes an equal broker of an empty one.  The first byte says
 * whether it is the document of one virtual host. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "broker/admin/definitions.h"
#include "broker/model/broker.h"
#include "broker/port/spec.h"
#include "tests/unit/census.h"

enum { BYTES_MAX = 1 << 16 };

static void on_warning(void *arg, const char *text)
{
    (void)arg;
    CHECK(strlen(text) > 0);
}

static const struct definitions_options options = {.bytes_max = BYTES_MAX, .warn = on_warning};

/* What a document that the broker wrote does to a broker; it must be able to. */
static struct changes *import(struct broker *b, const char *text)
{
    char *why = NULL;
    struct changes *c = definitions_read(
        bytes_of_string(text), NULL, &(struct definitions_options){.bytes_max = SIZE_MAX, .warn = on_warning}, &why);
    CHECK(c != NULL);
    c = census_alter(b, c, &why);
    CHECK(why == NULL);
    return c;
}

static void check_export(struct broker *b)
{
    char *text = census_export_text(b, NULL), *again, *elsewhere;
    struct changes *c = import(b, text);
    for (size_t i = 0; i < c->n; i++)
        CHECK(c->at[i].outcome == CHANGE_NOTHING);
    changes_destroy(c);
    again = census_export_text(b, NULL);
    CHECK(strcmp(text, again) == 0);
    struct broker *other = census_broker();
    changes_destroy(import(other, text));
    elsewhere = census_export_text(other, NULL);
    CHECK(strcmp(text, elsewhere) == 0);
    broker_check(other);
    broker_destroy(other);
    free(text);
    free(again);
    free(elsewhere);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct bytes vhost = BYTES("v");
    bool is_of_vhost = data[0] == 'v';
    char *why = NULL;
    struct changes *c = definitions_read(bytes_of(data + 1, size - 1), is_of_vhost ? &vhost : NULL, &options, &why);
    CHECK((c == NULL) == (why != NULL));
    free(why);
    if (c == NULL)
        return 0;
    struct broker *b = census_broker();
    struct changes *ground = changes_create();
    changes_add(ground, CHANGE_PUT, DEFINE_VHOST, spec_create(&(struct spec){.name = vhost}));
    changes_destroy(census_alter(b, ground, &why));
    c = census_alter(b, c, &why);
    broker_check(b);
    changes_destroy(c);
    free(why);
    check_export(b);
    broker_destroy(b);
    return 0;
}
