#include "tests/unit/census.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/admin/definitions.h"
#include "broker/model/broker.h"

struct broker *census_broker(void)
{
    return broker_create(&(struct broker_config){.hash_seed = 1, .memory_high = UINT64_MAX});
}

/* The answer is the caller's. */
static struct event ask(struct broker *b, struct command *c)
{
    const struct instant now = {.ms = 1, .wall_ms = 1};
    struct effects e;
    effects_init(&e);
    broker_step(b, &now, c, 1, &e);
    CHECK(e.n == 1);
    struct event answer = e.events[--e.n];
    effects_fini(&e);
    return answer;
}

struct changes *census_alter(struct broker *b, struct changes *c, char **why)
{
    struct command command = {.verb = ALTER, .changes = c};
    struct event answer = ask(b, &command);
    *why = NULL;
    if (answer.what == DONE)
        return answer.done.changes;
    *why = definitions_explain(answer.failed.changes, answer.failed.text);
    free(answer.failed.text);
    return answer.failed.changes;
}

json_t *census_export(struct broker *b, const struct bytes *vhost)
{
    struct definitions_writer *w = definitions_writer_create("3.10.8", "RabbitMQ", "3.10.8", vhost);
    struct command c = {.verb = INSPECT};
    while ((c.inspection = definitions_want(w)) != NULL) {
        struct event answer = ask(b, &c);
        CHECK(answer.what == DONE);
        definitions_take(w, answer.done.inspection);
    }
    return definitions_finish(w);
}

char *census_export_text(struct broker *b, const struct bytes *vhost)
{
    json_t *document = census_export(b, vhost);
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    return text;
}
