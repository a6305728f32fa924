#define _GNU_SOURCE
#include "broker/ctl/http.h"

#include <curl/curl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/str.h"
#include "broker/ctl/items.h"

enum { CONNECT_MS = 10000 };

struct client {
    CURL *curl; /* owned */
    struct client_config config;
    char problem[CURL_ERROR_SIZE];
};

/* What comes in. */
struct intake {
    CURL *curl; /* borrowed */
    struct answer *answer;
    size_t room;
    bool is_too_large, is_nonsense, is_stopped;
    client_each_fn *each; /* NULL: keep it whole */
    void *arg;
    struct items items;
};

struct client *client_create(const struct client_config *config)
{
    struct client *c = alloc_zeroed(sizeof *c);
    c->config = *config;
    /* The library's TLS takes milliseconds to begin, and is not needed to talk to the broker's own socket. */
    bool has_tls = config->socket == NULL && config->url != NULL && strncasecmp(config->url, "https:", 6) == 0;
    CHECK(curl_global_init(has_tls ? CURL_GLOBAL_SSL : CURL_GLOBAL_NOTHING) == CURLE_OK);
    c->curl = curl_easy_init();
    CHECK(c->curl != NULL);
    return c;
}

void client_destroy(struct client *c)
{
    if (c == NULL)
        return;
    curl_easy_cleanup(c->curl);
    curl_global_cleanup();
    free(c);
}

const char *client_problem(const struct client *c)
{
    return c->problem;
}

void answer_fini(struct answer *a)
{
    json_decref(a->json);
    free(a->text);
    *a = (struct answer){0};
}

static bool keep(struct intake *in, const char *bytes, size_t n)
{
    struct answer *a = in->answer;
    if (n > ANSWER_BYTES_MAX - a->len) {
        in->is_too_large = true;
        return false;
    }
    if (a->len + n + 1 > in->room) {
        in->room = alloc_grown(in->room, a->len + n + 1);
        a->text = alloc_array(a->text, in->room, 1);
    }
    memcpy(a->text + a->len, bytes, n);
    a->len += n;
    a->text[a->len] = '\0';
    return true;
}

static bool on_item(const char *text, size_t len, void *arg)
{
    struct intake *in = arg;
    json_t *item = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    in->is_nonsense = item == NULL;
    in->is_stopped = item != NULL && !in->each(item, in->arg);
    json_decref(item);
    return !in->is_nonsense && !in->is_stopped;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct intake *in = arg;
    if (in->answer->status == 0)
        curl_easy_getinfo(in->curl, CURLINFO_RESPONSE_CODE, &in->answer->status);
    bool goes_on = in->each != NULL && in->answer->status == 200 ? items_feed(&in->items, bytes, size * n)
                                                                 : keep(in, bytes, size * n);
    return goes_on ? size * n : 0;
}

/* The options of every call. */
static void prepare(struct client *c, const struct request *r, struct intake *in, const char *url)
{
    CURL *curl = c->curl;
    const char *user = r->user != NULL ? r->user : c->config.user;
    const char *password = r->user != NULL ? r->password : c->config.password;
    curl_easy_reset(curl);
    c->problem[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->problem);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, c->config.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     c->config.timeout_ms < CONNECT_MS ? c->config.timeout_ms : (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
    if (c->config.socket != NULL)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->config.socket);
    if (user != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, password != NULL ? password : "");
    }
}

static struct curl_slist *headers_of(const struct request *r)
{
    struct curl_slist *list = curl_slist_append(NULL, "Accept: */*");
    list = curl_slist_append(list, "Expect:");
    if (r->body != NULL)
        list = curl_slist_append(list, "Content-Type: application/json");
    if (r->reason != NULL) {
        char *line = str_format("X-Reason: %s", r->reason);
        for (char *at = line; *at != '\0'; at++)
            if ((unsigned char)*at < ' ' || *at == 0x7F)
                *at = ' '; /* a line end would begin another header */
        list = curl_slist_append(list, line);
        free(line);
    }
    return list;
}

static enum client_error judge(struct client *c, const struct intake *in, CURLcode code)
{
    bool is_list = in->each != NULL && in->answer->status == 200;
    if (in->is_stopped)
        return CLIENT_OK;
    if (in->is_too_large || in->items.len == ITEM_BYTES_MAX)
        return CLIENT_TOO_LARGE;
    if (in->is_nonsense || in->items.is_broken || (code == CURLE_OK && is_list && !items_is_whole(&in->items)))
        return CLIENT_NONSENSE;
    if (code != CURLE_OK && c->problem[0] == '\0')
        strncpy(c->problem, curl_easy_strerror(code), sizeof c->problem - 1);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return CLIENT_TIMEOUT;
    return code == CURLE_OK ? CLIENT_OK : CLIENT_UNREACHABLE;
}

enum client_error client_each(struct client *c, const struct request *r, struct answer *a, client_each_fn *each,
                              void *arg)
{
    *a = (struct answer){0};
    struct intake in = {.curl = c->curl, .answer = a, .each = each, .arg = arg};
    items_init(&in.items, ITEM_BYTES_MAX, on_item, &in);
    size_t slashes = c->config.url == NULL ? 0 : strlen(c->config.url);
    while (slashes > 0 && c->config.url[slashes - 1] == '/')
        slashes--;
    char *url = c->config.socket != NULL ? str_format("http://localhost%s", r->path)
                                         : str_format("%.*s%s", (int)slashes, c->config.url, r->path);
    char *body = r->body == NULL ? NULL : json_dumps(r->body, JSON_COMPACT | JSON_ENCODE_ANY);
    struct curl_slist *headers = headers_of(r);
    prepare(c, r, &in, url);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    if (body != NULL) {
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    }
    CURLcode code = curl_easy_perform(c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &a->status);
    enum client_error error = judge(c, &in, code);
    if (error == CLIENT_OK && a->len > 0)
        a->json = json_loadb(a->text, a->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    curl_slist_free_all(headers);
    items_fini(&in.items);
    if (body != NULL)
        explicit_bzero(body, strlen(body));
    free(body);
    free(url);
    return error;
}

enum client_error client_call(struct client *c, const struct request *r, struct answer *a)
{
    return client_each(c, r, a, NULL, NULL);
}

bool client_can_connect(struct client *c, const char *host, unsigned port)
{
    bool is_v6 = strchr(host, ':') != NULL;
    char *url = str_format(is_v6 ? "http://[%s]:%u/" : "http://%s:%u/", host, port);
    curl_easy_reset(c->curl);
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, c->config.timeout_ms);
    bool can = curl_easy_perform(c->curl) == CURLE_OK;
    free(url);
    return can;
}

char *client_host(const struct client *c)
{
    CURLU *u = curl_url();
    char *host = NULL, *copy;
    if (c->config.socket == NULL && c->config.url != NULL &&
        curl_url_set(u, CURLUPART_URL, c->config.url, 0) == CURLUE_OK)
        curl_url_get(u, CURLUPART_HOST, &host, 0);
    size_t n = host == NULL ? 0 : strlen(host);
    copy = n > 2 && host[0] == '[' ? str_format("%.*s", (int)(n - 2), host + 1)
                                   : str_format("%s", n > 0 ? host : "localhost");
    curl_free(host);
    curl_url_cleanup(u);
    return copy;
}
