/* Definitions: everything but messages, as one document. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "broker/admin/api.h"
#include "broker/admin/definitions.h"
#include "broker/admin/fetch.h"
#include "broker/admin/form.h"
#include "broker/admin/json.h"
#include "broker/admin/note.h"
#include "broker/admin/visitor.h"

/* ---- Export. */

static void ask_next(struct request *r);

/* ?download=NAME: what a browser shall call it; what is no plain letter becomes a _. */
static void name_file(struct request *r)
{
    enum { NAME_MAX_BYTES = 100 };
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_@ ";
    const char *wanted = request_query(r, "download");
    if (wanted == NULL)
        return;
    char *name = str_format("%.*s", NAME_MAX_BYTES, *wanted != '\0' ? wanted : "definitions.json");
    for (char *at = name; *(at += strspn(at, plain)) != '\0';)
        *at = '_';
    char *value = str_format("attachment; filename=\"%s\"", name);
    request_set_header(r, "Content-Disposition", value);
    free(value);
    free(name);
}

static void on_page(struct request *r, struct event *e)
{
    if (e->what == DONE) {
        definitions_take(r->writer, e->done.inspection);
        e->done.inspection = NULL;
    } else {
        definitions_skip(r->writer);
    }
    ask_next(r);
}

static void ask_next(struct request *r)
{
    struct inspection *wanted = definitions_want(r->writer);
    if (wanted != NULL) {
        request_inspect(r, wanted, on_page);
        return;
    }
    json_t *document = definitions_finish(r->writer);
    r->writer = NULL;
    name_file(r);
    request_reply(r, HTTP_STATUS_OK, document);
}

static void begin_export(struct request *r)
{
    const struct admin_config *config = request_config(r);
    r->writer = definitions_writer_create(config->version, "Millrace", config->product_version,
                                          r->n_params > 0 ? &r->param[0] : NULL);
    ask_next(r);
}

void definitions_get(struct request *r)
{
    if (r->n_params > 0)
        fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[0], begin_export);
    else
        begin_export(r);
}

/* ---- Import: all of it or nothing. */

static void on_warning(void *arg, const char *text)
{
    struct request *r = arg;
    log_warning("admin", "%s", text);
    json_add(r->warnings, json_of_text(bytes_of_string(text)));
}

static void add_skipped(struct request *r, const struct changes *all)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct change *c = &all->at[i];
        if (c->outcome != CHANGE_SKIPPED)
            continue;
        char *what = definitions_describe(c);
        char *text = str_format("%s was skipped: %s", what, c->text != NULL ? c->text : "not possible");
        json_add(r->warnings, json_of_text(bytes_of_string(text)));
        free(text);
        free(what);
    }
}

/* What a rehearsal says: names of what would be made and changed, and what could not be. */
static json_t *tell_rehearsal(const struct changes *all)
{
    json_t *o = json_object(), *made = json_array(), *changed = json_array(), *conflicts = json_array();
    json_int_t unchanged = 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct change *c = &all->at[i];
        char *what = definitions_describe(c);
        json_t *name = json_of_text(bytes_of_string(what));
        free(what);
        if (c->outcome == CHANGE_MADE || c->outcome == CHANGE_CHANGED) {
            json_add(c->outcome == CHANGE_MADE ? made : changed, name);
        } else if (c->outcome == CHANGE_SKIPPED) {
            json_t *conflict = json_object();
            json_set(conflict, "object", name);
            json_set(conflict, "reason", json_of_text(bytes_of_string(c->text)));
            json_add(conflicts, conflict);
        } else {
            unchanged++;
            json_decref(name);
        }
    }
    json_set(o, "created", made);
    json_set(o, "changed", changed);
    json_set(o, "conflicts", conflicts);
    json_set(o, "unchanged", json_integer(unchanged));
    return o;
}

static void on_rehearsed(struct request *r, struct event *e)
{
    json_t *o = tell_rehearsal(e->done.changes);
    json_set(o, "warnings", json_incref(r->warnings));
    request_reply(r, HTTP_STATUS_OK, o);
}

/* A form may say where the browser goes then: within this site. */
static bool is_redirect(struct bytes to)
{
    for (size_t i = 0; i < to.len; i++)
        if (to.at[i] <= ' ' || to.at[i] > '~' || to.at[i] == ':' || to.at[i] == '\\' ||
            (i > 0 && to.at[i] == '/' && to.at[i - 1] == '/'))
            return false;
    return to.len > 0;
}

static void answer_imported(struct request *r)
{
    struct bytes to;
    if (form_find(request_header(r, "Content-Type"), r->text, "redirect", &to) && is_redirect(to)) {
        char *location = str_copy(to);
        request_set_header(r, "Location", location);
        free(location);
        request_reply(r, HTTP_STATUS_SEE_OTHER, NULL);
    } else {
        request_reply(r, HTTP_STATUS_NO_CONTENT, NULL);
    }
}

static void finish_import(struct request *r)
{
    if (!request_query_flag(r, "verbose")) {
        answer_imported(r);
        return;
    }
    json_t *o = json_object();
    json_set(o, "warnings", json_incref(r->warnings));
    request_reply(r, HTTP_STATUS_OK, o);
}

static void on_let_in(struct request *r, struct event *e)
{
    if (e->what != DONE)
        log_warning("admin", "no permissions for whoever imported: %s", e->failed.text);
    finish_import(r);
}

/* A virtual host for which the document says what whoever imports it may do there. */
struct told {
    struct map_node in_map;
    struct bytes vhost;
};

static struct told *gather_told(const struct changes *all, struct bytes user, struct map *to)
{
    struct told *list = alloc_array(NULL, all->n, sizeof *list);
    for (size_t i = 0; i < all->n; i++) {
        const struct change *c = &all->at[i];
        if (c->what != DEFINE_PERMISSION || !bytes_equal(c->spec->name, user))
            continue;
        list[to->count].vhost = c->spec->vhost;
        map_add(to, &list[to->count].in_map, hash_bytes(c->spec->vhost, 0));
    }
    return list;
}

static bool is_told(const struct map *told, struct bytes vhost)
{
    for (struct map_node *n = map_first(told, hash_bytes(vhost, 0)); n != NULL; n = map_next(n))
        if (bytes_equal(item_of(n, struct told, in_map)->vhost, vhost))
            return true;
    return false;
}

/* False: it was answered. */
static bool add_rights(struct request *r, const struct changes *done, struct changes *rights)
{
    struct map told;
    map_init(&told);
    struct told *list = gather_told(done, r->visitor->name, &told);
    bool is_fine = true;
    for (size_t i = 0; i < done->n && is_fine; i++) {
        const struct change *c = &done->at[i];
        if (c->what != DEFINE_VHOST || c->outcome != CHANGE_MADE || is_told(&told, c->spec->name))
            continue;
        json_t *all = json_object();
        json_set(all, "configure", json_string(".*"));
        json_set(all, "write", json_string(".*"));
        json_set(all, "read", json_string(".*"));
        const struct spec who = {.vhost = c->spec->name, .name = r->visitor->name};
        is_fine = request_add_change(r, rights, CHANGE_PUT, DEFINE_PERMISSION, &who, all);
    }
    map_fini(&told);
    free(list);
    return is_fine;
}

/* Whoever makes a virtual host has all rights in it, also by an import, as in RabbitMQ. */
static void let_in(struct request *r, const struct changes *done)
{
    struct changes *rights = changes_create();
    if (r->visitor != NULL && !add_rights(r, done, rights))
        return;
    if (rights->n > 0) {
        request_alter_as_administrator(r, rights, on_let_in);
        return;
    }
    changes_destroy(rights);
    finish_import(r);
}

static void on_imported(struct request *r, struct event *e)
{
    if (e->what == DONE && e->done.changes->is_rehearsal) {
        on_rehearsed(r, e);
        return;
    }
    if (e->what != DONE) {
        char *why = e->failed.changes != NULL ? definitions_explain(e->failed.changes, e->failed.text)
                                              : str_copy(bytes_of_string(e->failed.text));
        log_error("admin", "Encountered an error when importing definitions: %s", why);
        note_import(r, NULL, why);
        request_refuse(r, "%s", why);
        free(why);
        return;
    }
    note_import(r, e->done.changes, NULL);
    definitions_log_outcome(e->done.changes);
    add_skipped(r, e->done.changes);
    let_in(r, e->done.changes);
}

static void read_definitions(struct request *r)
{
    const struct definitions_options options = {
        .hashing_algorithm = bytes_of_string(request_config(r)->hashing_algorithm),
        .credential = request_config(r)->credential,
        .warn = on_warning,
        .arg = r,
    };
    char *error = NULL;
    const char *type = request_header(r, "Content-Type");
    struct bytes text = r->text;
    r->warnings = json_array();
    if (form_is_one(type) && !form_find(type, r->text, "file", &text)) {
        request_refuse(r, "the form has no part \"file\"");
        return;
    }
    struct changes *all = definitions_read(text, r->n_params > 0 ? &r->param[0] : NULL, &options, &error);
    if (all == NULL) {
        log_error("admin", "Encountered an error when importing definitions: %s", error);
        note_import(r, NULL, error);
        request_refuse(r, "%s", error);
        free(error);
        return;
    }
    all->is_rehearsal = request_query_flag(r, "dry_run");
    if (!all->is_rehearsal) {
        log_info("admin", "Importing definitions at the word of %s", r->actor);
        definitions_log_plan(all);
    }
    request_alter_as_administrator(r, all, on_imported);
}

/* Others that read, change and write back would undo what it does. */
static void begin_import(struct request *r)
{
    request_take_turn(r, read_definitions);
}

void definitions_post(struct request *r)
{
    if (r->n_params > 0)
        fetch_to_go_on(r, INSPECT_VHOSTS, NULL, &r->param[0], begin_import);
    else
        begin_import(r);
}
