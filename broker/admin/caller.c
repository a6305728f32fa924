#define _GNU_SOURCE
#include "broker/admin/caller.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/map.h"
#include "broker/admin/ticker.h"
#include "broker/net/tls.h"

/* A socket that is listened at. */
struct gate {
    struct link in_gates;
    struct callers *callers; /* borrowed */
    enum entrance entrance;
    struct tls *const *tls;          /* borrowed */
    struct evconnlistener *listener; /* owned */
};

/* Callers of a kind are counted by themselves. */
struct kind {
    unsigned count;
    bool is_full; /* its gates are closed */
};

struct callers {
    struct event_base *base; /* borrowed */
    struct caller_hooks hooks;
    struct list gates, callers;
    struct kind kinds[2]; /* over TCP, over the control socket */
    unsigned writing;     /* of them */
    struct ticker *retry; /* owned */
};

/* ---- One of them. */

static struct kind *kind_of(struct callers *all, enum entrance entrance)
{
    return &all->kinds[entrance == ENTRANCE_CONTROL];
}

static void set_gates(struct callers *all, struct kind *k, bool are_open)
{
    k->is_full = !are_open;
    for (struct link *at = all->gates.ring.next; at != &all->gates.ring; at = at->next) {
        const struct gate *g = item_of(at, struct gate, in_gates);
        if (kind_of(all, g->entrance) != k)
            continue;
        if (are_open)
            evconnlistener_enable(g->listener);
        else
            evconnlistener_disable(g->listener); /* the others wait in the backlog */
    }
}

void caller_destroy(struct caller *l)
{
    struct callers *all = l->callers;
    SSL *ssl = l->tls != NULL ? bufferevent_openssl_get_ssl(l->bev) : NULL;
    if (l->doing == DOING_WRITE)
        all->writing--;
    if (ssl != NULL) {
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
        SSL_shutdown(ssl);
    }
    list_remove(&l->in_callers);
    struct kind *kind = kind_of(all, l->gate->entrance);
    kind->count--;
    ticker_destroy(l->deadline);
    bufferevent_free(l->bev);
    tls_unref(l->tls);
    all->hooks.destroy(l);
    if (kind->is_full)
        set_gates(all, kind, true);
}

void caller_drop(struct caller *l)
{
    l->callers->hooks.gone(l);
    caller_destroy(l);
}

enum entrance caller_entrance(const struct caller *l)
{
    return l->gate->entrance;
}

void caller_do(struct caller *l, enum doing doing, uint64_t ms)
{
    /* What comes meanwhile is left to the system: with more than its high watermark libevent would call us for it
     * again and again, and never come back to the rest of this thread. */
    bool reads = doing != DOING_THINK && doing != DOING_WRITE;
    if (reads)
        bufferevent_enable(l->bev, EV_READ);
    else
        bufferevent_disable(l->bev, EV_READ);
    if (l->doing == DOING_WRITE)
        l->callers->writing--;
    if (doing == DOING_WRITE)
        l->callers->writing++;
    l->doing = doing;
    l->since_ms = clock_ms();
    if (ms > 0)
        ticker_set(l->deadline, ms);
    else
        ticker_stop(l->deadline);
}

void caller_set_time(struct caller *l, uint64_t ms)
{
    ticker_set(l->deadline, ms);
}

void caller_hush(struct caller *l)
{
    if (l->tls != NULL)
        SSL_shutdown(bufferevent_openssl_get_ssl(l->bev));
    else
        shutdown(bufferevent_getfd(l->bev), SHUT_WR);
}

/* ---- Room for one, at the expense of others. */

static size_t unwritten_of(const struct caller *l)
{
    return l->doing == DOING_WRITE ? evbuffer_get_length(bufferevent_get_output(l->bev)) : 0;
}

void caller_make_way(struct caller *for_whom, size_t len)
{
    struct callers *all = for_whom->callers;
    while (len > CALLER_LARGE_BYTES) {
        struct caller *goes = NULL;
        size_t sum = len;
        for (struct link *at = all->callers.ring.next; at != &all->callers.ring; at = at->next) {
            struct caller *l = item_of(at, struct caller, in_callers);
            sum += unwritten_of(l);
            if (l != for_whom && unwritten_of(l) > CALLER_LARGE_BYTES && (goes == NULL || l->since_ms < goes->since_ms))
                goes = l;
        }
        if (sum <= CALLER_ANSWERS_MAX || goes == NULL)
            return;
        caller_drop(goes);
    }
}

/* What its body takes, or will, until it is answered. */
static uint64_t bytes_held(const struct caller *l)
{
    return l->doing == DOING_BODY || l->doing == DOING_THINK ? l->body_bytes : 0;
}

bool caller_has_room(struct caller *for_whom)
{
    struct callers *all = for_whom->callers;
    const uint64_t now = clock_ms();
    while (bytes_held(for_whom) > CALLER_LARGE_BYTES) {
        struct caller *goes = NULL;
        uint64_t sum = 0;
        for (struct link *at = all->callers.ring.next; at != &all->callers.ring; at = at->next) {
            struct caller *l = item_of(at, struct caller, in_callers);
            sum += bytes_held(l); // NOLINT(clang-analyzer-unix.Malloc): who was dropped is on the list no more
            if (l != for_whom && l->doing == DOING_BODY && bytes_held(l) > CALLER_LARGE_BYTES &&
                now - l->since_ms >= CALLER_GRACE_MS && (goes == NULL || l->since_ms < goes->since_ms))
                goes = l;
        }
        if (sum <= CALLER_BODIES_MAX || sum == bytes_held(for_whom))
            return true;
        if (goes == NULL)
            return false;
        caller_drop(goes);
    }
    return true;
}

static unsigned place_of(const struct caller *l)
{
    uint8_t group[ADDRESS_GROUP_BYTES];
    address_group(&l->from, group);
    return (unsigned)(hash_bytes(bytes_of(group, sizeof group), 1) % CALLER_PLACES);
}

/* Who has not asked for anything that is under way, or takes long over it. */
static bool may_go(const struct caller *l, uint64_t now)
{
    switch (l->doing) {
    case DOING_IDLE:
    case DOING_HEAD:
    case DOING_SKIP:
    case DOING_LINGER:
        return true;
    case DOING_BODY:
    case DOING_WRITE:
        return now - l->since_ms >= CALLER_GRACE_MS;
    case DOING_THINK:
        return l->may_go;
    }
    return false;
}

/* Makes room at the cost of who has most of it; false: all of them are being served. */
static bool make_room(struct callers *all, const struct kind *kind)
{
    unsigned count[CALLER_PLACES] = {0}, most = 0;
    const uint64_t now = clock_ms();
    struct caller *goes = NULL;
    for (struct link *at = all->callers.ring.next; at != &all->callers.ring; at = at->next) {
        const struct caller *l = item_of(at, struct caller, in_callers);
        if (kind_of(all, l->gate->entrance) == kind)
            count[place_of(l)]++;
    }
    for (struct link *at = all->callers.ring.next; at != &all->callers.ring; at = at->next) {
        struct caller *l = item_of(at, struct caller, in_callers);
        if (kind_of(all, l->gate->entrance) != kind || !may_go(l, now))
            continue;
        unsigned n = count[place_of(l)];
        if (goes == NULL || n > most || (n == most && l->since_ms < goes->since_ms)) {
            goes = l;
            most = n;
        }
    }
    if (goes != NULL)
        caller_drop(goes);
    return goes != NULL;
}

/* ---- What happens to one. */

static void on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct caller *l = arg;
    l->callers->hooks.read(l);
}

/* Everything has been written. */
static void on_written(struct bufferevent *bev, void *arg)
{
    struct caller *l = arg;
    if (l->doing == DOING_WRITE && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
        l->callers->hooks.written(l);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct caller *l = arg;
    const char *fault = NULL;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        if (l->tls != NULL && !tls_may_stay(l->tls, bufferevent_openssl_get_ssl(bev), &fault))
            caller_destroy(l);
        return;
    }
    /* While an answer is awaited nothing is read, so who has said all that it has to say still gets that. */
    caller_drop(l);
}

static void on_deadline(void *arg)
{
    struct caller *l = arg;
    if (l->doing == DOING_HEAD || l->doing == DOING_BODY)
        l->callers->hooks.late(l);
    else
        caller_drop(l);
}

/* ---- Who comes. */

static struct bufferevent *open_stream(struct caller *l, int fd)
{
    struct event_base *base = l->callers->base;
    struct bufferevent *bev;
    if (l->tls == NULL) {
        bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    } else {
        SSL *ssl = tls_open(l->tls, fd);
        SSL_set_read_ahead(ssl, 0); /* libevent asks the socket, and does not see what OpenSSL has read already */
        bev = bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    }
    CHECK(bev != NULL);
    return bev;
}

static void on_accept(struct evconnlistener *listener, int fd, struct sockaddr *from, int len, void *arg)
{
    (void)listener;
    struct gate *g = arg;
    struct callers *all = g->callers;
    struct kind *kind = kind_of(all, g->entrance);
    if (kind->count >= CALLERS_MAX && (g->entrance == ENTRANCE_CONTROL || !make_room(all, kind))) {
        close(fd);
        set_gates(all, kind, false);
        return;
    }
    struct caller *l = all->hooks.create(all->hooks.owner);
    l->callers = all;
    l->gate = g;
    l->tls = g->tls != NULL && *g->tls != NULL ? tls_ref(*g->tls) : NULL;
    l->from.len = (socklen_t)len < sizeof l->from.storage ? (socklen_t)len : sizeof l->from.storage;
    memcpy(&l->from.storage, from, l->from.len);
    l->deadline = ticker_create(all->base, on_deadline, l);
    l->bev = open_stream(l, fd);
    kind->count++;
    /* Whoever has the control socket is trusted, and waits for the others rather than taking their place. */
    if (g->entrance == ENTRANCE_CONTROL && kind->count == CALLERS_MAX)
        set_gates(all, kind, false);
    list_append(&all->callers, &l->in_callers);
    caller_do(l, DOING_IDLE, all->hooks.first_ms);
    bufferevent_setcb(l->bev, on_read, on_written, on_event, l);
    bufferevent_setwatermark(l->bev, EV_READ, 0, all->hooks.read_max);
    bufferevent_enable(l->bev, EV_READ | EV_WRITE);
}

/* No descriptors: others hold them, and will let go. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct gate *g = arg;
    (void)listener;
    struct kind *kind = kind_of(g->callers, g->entrance);
    if (kind->count > 0 && make_room(g->callers, kind))
        return;
    set_gates(g->callers, kind, false); /* else we would be told so again at once, and for ever */
    ticker_set(g->callers->retry, CALLER_RETRY_MS);
}

static void on_retry(void *arg)
{
    struct callers *all = arg;
    for (size_t i = 0; i < sizeof all->kinds / sizeof all->kinds[0]; i++)
        if (all->kinds[i].is_full && all->kinds[i].count < CALLERS_MAX)
            set_gates(all, &all->kinds[i], true);
}

void callers_listen(struct callers *all, int fd, enum entrance entrance, struct tls *const *tls)
{
    struct gate *g = alloc_zeroed(sizeof *g);
    g->callers = all;
    g->entrance = entrance;
    g->tls = tls;
    g->listener = evconnlistener_new(all->base, on_accept, g, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    CHECK(g->listener != NULL);
    evconnlistener_set_error_cb(g->listener, on_accept_error);
    list_append(&all->gates, &g->in_gates);
}

struct callers *callers_create(struct event_base *base, const struct caller_hooks *hooks)
{
    struct callers *all = alloc_zeroed(sizeof *all);
    all->base = base;
    all->hooks = *hooks;
    list_init(&all->gates);
    list_init(&all->callers);
    all->retry = ticker_create(base, on_retry, all);
    return all;
}

void callers_destroy(struct callers *all)
{
    for (struct link *at = all->callers.ring.next, *next; at != &all->callers.ring; at = next) {
        next = at->next;
        caller_destroy(item_of(at, struct caller, in_callers));
    }
    for (struct link *at = all->gates.ring.next, *next; at != &all->gates.ring; at = next) {
        struct gate *g = item_of(at, struct gate, in_gates);
        next = at->next;
        evconnlistener_free(g->listener);
        free(g);
    }
    ticker_destroy(all->retry);
    free(all);
}

unsigned callers_writing(const struct callers *all)
{
    return all->writing;
}
