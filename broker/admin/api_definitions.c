/* Exporting and importing definitions (reference operations 2). */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/definitions.h"
#include "broker/admin/fetch.h"
#include "broker/admin/json.h"

enum { DOWNLOAD_NAME_MAX = 100 };

/* ---- Export. */

/* "Save as", where it is a name that needs no thought about paths and quotes. */
static void name_download(struct request *r)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *name = request_query(r, "download");
    if (name == NULL)
        return;
    bool is_plain =
        name[0] != '.' && name[0] != '\0' && name[strspn(name, plain)] == '\0' && strlen(name) <= DOWNLOAD_NAME_MAX;
    char *value = str_format("attachment; filename=\"%s\"", is_plain ? name : "definitions.json");
    request_set_header(r, "content-disposition", value);
    free(value);
}

static void on_page(struct request *r, struct event *e);

static void ask_on(struct request *r)
{
    struct inspection *next = definitions_want(r->writer);
    if (next != NULL) {
        request_inspect(r, next, on_page);
        return;
    }
    struct definitions_writer *w = r->writer;
    r->writer = NULL;
    name_download(r);
    request_reply(r, HTTP_STATUS_OK, definitions_finish(w));
}

static void on_page(struct request *r, struct event *e)
{
    if (e->what == DONE) {
        definitions_take(r->writer, e->done.inspection);
        e->done.inspection = NULL;
    } else if (e->failed.reason == NO_SUCH_VHOST) {
        definitions_skip(r->writer);
    } else {
        request_answer_failure(r, e);
        return;
    }
    ask_on(r);
}

static void begin_export(struct request *r)
{
    const struct admin_config *c = request_config(r);
    r->writer =
        definitions_writer_create(c->version, "Millrace", c->product_version, r->n_params > 0 ? &r->param[0] : NULL);
    ask_on(r);
}

void definitions_get(struct request *r)
{
    if (r->n_params > 0)
        fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[0], begin_export);
    else
        begin_export(r);
}

/* ---- Import. */

/* What was left out, for those who ask. */
static json_t *skipped(const struct changes *c)
{
    json_t *all = json_array(), *body = json_object();
    for (size_t i = 0; i < c->n; i++) {
        if (c->at[i].outcome != CHANGE_SKIPPED)
            continue;
        json_t *one = json_object();
        char *object = definitions_describe(&c->at[i]);
        json_set(one, "object", json_of_text(bytes_of_string(object)));
        json_set(one, "reason", json_of_text(bytes_of_string(c->at[i].text != NULL ? c->at[i].text : "")));
        json_add(all, one);
        free(object);
    }
    json_set(body, "skipped", all);
    return body;
}

static void on_imported(struct request *r, struct event *e)
{
    if (e->what != DONE) {
        char *why = definitions_explain(e->failed.changes, e->failed.text);
        log_error("definitions", "Encountered an error when importing definitions: %s (%s)", why, r->actor);
        request_refuse(r, "%s", why);
        free(why);
        return;
    }
    definitions_log_outcome(e->done.changes);
    if (request_query_flag(r, "verbose"))
        request_reply(r, HTTP_STATUS_OK, skipped(e->done.changes));
    else
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
}

static void begin_import(struct request *r)
{
    const struct admin_config *config = request_config(r);
    const struct definitions_options o = {.hashing_algorithm = bytes_of_string(config->hashing_algorithm),
                                          .credential = config->credential};
    char *why = NULL;
    struct changes *c = r->body == NULL
                            ? changes_create()
                            : definitions_read_document(r->body, r->n_params > 0 ? &r->param[0] : NULL, &o, &why);
    if (c == NULL) {
        log_error("definitions", "Encountered an error when importing definitions: %s (%s)", why, r->actor);
        request_refuse(r, "%s", why);
        free(why);
        return;
    }
    log_info("definitions", "Applying definitions from the HTTP API (%s)", r->actor);
    definitions_log_plan(c);
    request_alter(r, c, on_imported);
}

void definitions_post(struct request *r)
{
    if (r->n_params > 0)
        fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[0], begin_import);
    else
        begin_import(r);
}
