#define _GNU_SOURCE
#include "broker/import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/audit.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/admin/credential.h"
#include "broker/admin/definitions.h"
#include "broker/boot.h"
#include "broker/config.h"
#include "broker/model/broker.h"
#include "broker/net/password.h"
#include "broker/port/change.h"
#include "broker/port/inspection.h"
#include "broker/port/spec.h"
#include "codec/table.h"

struct file {
    char *path; /* owned */
    char *text; /* owned; may have passwords in it */
    size_t size;
    size_t first; /* of its changes among all */
};

struct import {
    const struct config *config; /* borrowed, like the two below */
    struct broker *broker;
    struct keeper *keeper;
    struct file *files; /* owned */
    size_t n, capacity;
    char *error; /* owned: what was wrong first, with its file; NULL: nothing */
};

/* ---- The files. */

/* False, for convenience; takes why. */
static bool fail(struct import *m, const char *path, char *why)
{
    if (m->error == NULL)
        m->error = str_format("%s: %s", path, why);
    free(why);
    return false;
}

static bool fail_with(struct import *m, const char *path, int error)
{
    return fail(m, path, str_format("%s", strerrordesc_np(error)));
}

/* The whole of fd; false: the text says why not. */
static bool read_all(struct import *m, struct file *f, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_with(m, f->path, errno);
    if (!S_ISREG(st.st_mode))
        return fail(m, f->path, str_copy(BYTES("not a file")));
    if (st.st_size > DEFINITIONS_BYTES_MAX)
        return fail(m, f->path, str_format("larger than %d bytes", DEFINITIONS_BYTES_MAX));
    f->text = alloc((size_t)st.st_size + 1);
    while (f->size < (size_t)st.st_size) {
        ssize_t n = read(fd, f->text + f->size, (size_t)st.st_size - f->size);
        if (n < 0 && errno != EINTR)
            return fail_with(m, f->path, errno);
        if (n == 0)
            break; /* it has become shorter; what is there will say whether that is right */
        f->size += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Takes the path. */
static bool add_file(struct import *m, char *path)
{
    if (m->n == m->capacity) {
        m->capacity = alloc_grown(m->capacity, m->n + 1);
        m->files = alloc_array(m->files, m->capacity, sizeof *m->files);
    }
    struct file *f = &m->files[m->n++];
    *f = (struct file){.path = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_with(m, path, errno);
    bool is_read = read_all(m, f, fd);
    close(fd);
    return is_read;
}

static int is_json(const struct dirent *e)
{
    size_t len = strlen(e->d_name);
    return e->d_name[0] != '.' && len > 5 && strcmp(e->d_name + len - 5, ".json") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool add_folder(struct import *m, const char *path)
{
    struct dirent **all;
    int n = scandir(path, &all, is_json, by_bytes);
    if (n < 0)
        return fail_with(m, path, errno);
    bool is_fine = n <= IMPORT_FILES_MAX || fail(m, path, str_format("more than %d files", IMPORT_FILES_MAX));
    for (int i = 0; i < n; i++) {
        if (is_fine)
            is_fine = add_file(m, str_format("%s/%s", path, all[i]->d_name));
        free(all[i]);
    }
    free(all);
    return is_fine;
}

static bool add_source(struct import *m, const char *path)
{
    struct stat st;
    if (path == NULL)
        return true;
    if (stat(path, &st) != 0)
        return fail_with(m, path, errno);
    log_info("definitions", "Applying definitions from %s at %s", S_ISDIR(st.st_mode) ? "directory" : "regular file",
             path);
    return S_ISDIR(st.st_mode) ? add_folder(m, path) : add_file(m, str_copy(bytes_of_string(path)));
}

static void forget_files(struct import *m)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->files[i].text != NULL)
            OPENSSL_cleanse(m->files[i].text, m->files[i].size);
        free(m->files[i].text);
        free(m->files[i].path);
    }
    free(m->files);
}

/* ---- Have they changed?  A global parameter remembers what was imported last, and comes with it in one change. */

/* "sha256:…" of all files, to be freed.  NULL: there is no such algorithm, and that was said. */
static char *fingerprint(struct import *m)
{
    static const char digits[] = "0123456789abcdef";
    const char *name = config_text(m->config, KEY_DEFINITIONS_HASHING);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const EVP_MD *md = EVP_get_digestbyname(name);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_done = md != NULL && context != NULL && EVP_DigestInit_ex(context, md, NULL) == 1;
    for (size_t i = 0; i < m->n && is_done; i++) {
        const struct file *f = &m->files[i];
        char *frame = str_format("%zu:", f->size); /* where one ends and the next begins counts */
        is_done =
            EVP_DigestUpdate(context, frame, strlen(frame)) == 1 && EVP_DigestUpdate(context, f->text, f->size) == 1;
        free(frame);
    }
    is_done = is_done && EVP_DigestFinal_ex(context, digest, &size) == 1;
    EVP_MD_CTX_free(context);
    if (!is_done) {
        fail(m, "definitions.hashing.algorithm", str_format("'%s' is not supported", name));
        return NULL;
    }
    char text[2 * EVP_MAX_MD_SIZE + 1] = "";
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    return str_format("%s:%.*s", name, (int)(2 * size), text);
}

static bool is_remembered(struct import *m, const char *print)
{
    const struct bytes global = {0}, name = BYTES(DEFINITIONS_HASH_PARAMETER);
    struct command c = {.verb = INSPECT};
    bool is_same = false;
    c.inspection = inspection_create(INSPECT_PARAMETERS, &global, &name);
    while (c.inspection != NULL) {
        struct event answer;
        struct bytes row;
        struct field value;
        boot_ask(m->broker, m->keeper, &c, &answer);
        if (answer.what != DONE) {
            event_drop(&answer);
            break;
        }
        struct inspection *page = answer.done.inspection;
        for (size_t at = 0; inspection_next(page, &at, &row);)
            is_same |= table_find(row, BYTES("value"), &value) && value.type == 'S' &&
                       bytes_equal(value.bytes, bytes_of_string(print));
        c.inspection = page->cursor != 0 ? page : NULL;
        if (page->cursor == 0)
            inspection_destroy(page);
    }
    return is_same;
}

static void add_print(struct changes *all, const char *print)
{
    size_t room = strlen(print) + 64;
    void *table = alloc(room);
    struct pen p = pen_over(table, room);
    table_put_string(&p, BYTES("value"), bytes_of_string(print));
    const struct spec spec = {.name = BYTES(DEFINITIONS_HASH_PARAMETER), .arguments = pen_written(&p)};
    changes_add(all, CHANGE_PUT, DEFINE_PARAMETER, spec_create(&spec));
    free(table);
}

/* ---- What is in them. */

/* A user that has the password already keeps its hash: a new salt would be a change. */
static bool keep_hash(void *arg, struct bytes user, struct bytes password, char **algorithm, char **hash)
{
    struct import *m = arg;
    const struct spec spec = {.name = user};
    struct command c = {.verb = LOGIN, .spec = spec_create(&spec)};
    struct event answer;
    struct field a = {0}, h = {0};
    boot_ask(m->broker, m->keeper, &c, &answer);
    const struct spec *found = answer.what == DONE ? answer.done.spec : NULL;
    bool fits = found != NULL && table_find(found->arguments, BYTES("password_hash"), &h) && h.type == 'S' &&
                table_find(found->arguments, BYTES("hashing_algorithm"), &a) && a.type == 'S';
    if (fits)
        fits = password.len == 0 ? h.bytes.len == 0 : password_check(a.bytes, h.bytes, password);
    if (fits) {
        *algorithm = str_copy(a.bytes);
        *hash = str_copy(h.bytes);
    }
    event_drop(&answer);
    return fits;
}

/* Puts the changes behind all others, and takes them. */
static bool append(struct changes *all, struct changes *more)
{
    bool fits = more->n <= CHANGES_MAX - all->n;
    for (size_t i = 0; i < more->n && fits; i++) {
        changes_add(all, more->at[i].kind, more->at[i].what, more->at[i].spec);
        more->at[i].spec = NULL;
    }
    changes_destroy(more);
    return fits;
}

/* All that the files ask for; NULL: one is wrong. */
static struct changes *read_files(struct import *m, struct credential *credential)
{
    const struct definitions_options o = {
        .hashing_algorithm = bytes_of_string(config_text(m->config, KEY_PASSWORD_HASHING_MODULE)),
        .credential = credential,
        .keep = keep_hash,
        .arg = m,
    };
    struct changes *all = changes_create();
    for (size_t i = 0; i < m->n && m->error == NULL; i++) {
        struct file *f = &m->files[i];
        char *why = NULL;
        struct changes *more = definitions_read(bytes_of(f->text, f->size), NULL, &o, &why);
        f->first = all->n;
        if (more == NULL)
            fail(m, f->path, why);
        else if (!append(all, more))
            fail(m, f->path, str_format("more than %d objects in all", CHANGES_MAX));
    }
    if (m->error == NULL)
        return all;
    changes_destroy(all);
    return NULL;
}

/* Which files there were, and what came of them. */
static void note(const struct import *m, uint64_t changed)
{
    struct audit a = {
        .action = "definitions.import",
        .result = BYTES("ok"),
        .peer = BYTES("local"),
        .kind = BYTES("file"),
        .count = changed,
        .has_count = true,
    };
    if (m->error != NULL) {
        a.result = BYTES("refused");
        a.reason = bytes_of_string(m->error);
    }
    for (size_t i = 0; i < m->n; i++) {
        a.object = bytes_of_string(m->files[i].path);
        audit_write(&a);
    }
}

/* Has them made; takes them.  How many are new or others now. */
static uint64_t carry_out(struct import *m, struct changes *all)
{
    uint64_t changed = 0;
    struct command c = {.verb = ALTER, .changes = all};
    struct event answer;
    definitions_log_plan(all);
    boot_ask(m->broker, m->keeper, &c, &answer);
    if (answer.what == DONE) {
        const struct changes *made = answer.done.changes;
        for (size_t i = 0; i < made->n; i++)
            changed += made->at[i].outcome == CHANGE_MADE || made->at[i].outcome == CHANGE_CHANGED;
        definitions_log_outcome(made);
    } else {
        const struct changes *refused = answer.failed.changes;
        const char *path = m->files[0].path;
        for (size_t i = 0; i < m->n && refused != NULL && m->files[i].first <= refused->failed; i++)
            path = m->files[i].path;
        fail(m, path, definitions_explain(refused, answer.failed.text));
    }
    event_drop(&answer);
    return changed;
}

struct credential *import_credential(const struct config *c, char **error)
{
    char *why = NULL;
    struct credential *made =
        credential_create(config_text(c, KEY_CREDENTIAL_BACKEND), config_number(c, KEY_CREDENTIAL_MIN_LENGTH),
                          config_text(c, KEY_CREDENTIAL_REGEXP), &why);
    if (made == NULL)
        *error = str_format("credential_validator: %s", why);
    free(why);
    return made;
}

static void import_files(struct import *m)
{
    bool remembers = config_number(m->config, KEY_DEFINITIONS_SKIP) != 0;
    char *print = remembers ? fingerprint(m) : NULL, *why = NULL;
    if (remembers && print != NULL && is_remembered(m, print)) {
        log_info("definitions", "Hash value of imported definitions matches current contents: nothing is imported");
        free(print);
        return;
    }
    struct credential *credential = import_credential(m->config, &why);
    if (credential == NULL)
        fail(m, "load_definitions", why);
    struct changes *all = m->error == NULL ? read_files(m, credential) : NULL;
    if (all != NULL && print != NULL)
        add_print(all, print);
    note(m, all != NULL ? carry_out(m, all) : 0);
    credential_destroy(credential);
    free(print);
}

bool import_is_wanted(const struct config *c)
{
    return config_text(c, KEY_LOAD_DEFINITIONS) != NULL || config_text(c, KEY_DEFINITIONS_PATH) != NULL;
}

int import_definitions(const struct config *c, struct broker *b, struct keeper *k)
{
    struct import m = {.config = c, .broker = b, .keeper = k};
    if (add_source(&m, config_text(c, KEY_LOAD_DEFINITIONS)) && add_source(&m, config_text(c, KEY_DEFINITIONS_PATH)) &&
        m.n > 0)
        import_files(&m);
    int status = m.error == NULL ? EX_OK : EX_CONFIG;
    if (status != EX_OK) {
        log_error("definitions", "Encountered an error when importing definitions: %s", m.error);
        fprintf(stderr, "millraced: %s\n", m.error);
    }
    forget_files(&m);
    free(m.error);
    return status;
}
