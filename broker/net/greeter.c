#define _GNU_SOURCE
#include "broker/net/greeter.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"
#include "broker/net/door.h"
#include "broker/net/hub.h"
#include "broker/net/hush.h"
#include "broker/net/poller.h"
#include "broker/net/porch.h"
#include "broker/net/proxy.h"
#include "broker/net/tls.h"
#include "broker/net/transport.h"

enum { DRAIN_BYTES = 4096, REASON_MAX = 256 };

/* What it is waited for. */
enum stage {
    STAGE_PORCH,   /* there is no room for it at the door yet; nothing was read */
    STAGE_PROXY,   /* the rest of a PROXY header */
    STAGE_FIRST,   /* the first byte of a handshake */
    STAGE_TLS,     /* the rest of it */
    STAGE_LEAVING, /* it was refused; what comes is thrown away */
};

struct arrival {
    struct parcel parcel; /* PARCEL_STRANGER: on its way to the greeter */
    struct greeter *g;    /* borrowed */
    struct link touched;  /* on the greeter's list of those, or, on the porch, of those who wait */
    struct heap_node deadline;
    struct guest guest;
    struct watch *watch; /* owned; NULL: on the porch */
    int fd;              /* owned; -1: passed on */
    struct greeting how;
    enum stage stage;
    uint64_t came_ms;
    struct peer peer;
    uint8_t *header; /* owned: of PROXY, what has come of it */
    size_t header_len;
    struct ssl_st *ssl; /* owned; likewise tls, which it was made from */
    struct tls *tls;
};

struct greeter {
    struct greeter_config config;
    struct tls *tls;          /* owned: for the next handshake */
    pthread_mutex_t tls_lock; /* who exchanges it, and who looks at it from elsewhere */
    pthread_t thread;
    bool is_running;

    struct lane lane;
    atomic_uint guests;  /* here, or on their way */
    atomic_llong expiry; /* the certificate's, in seconds since 1970; LLONG_MAX: there is none */

    /* The thread's own. */
    struct poller *poller; /* owned */
    struct watch *lane_watch;
    struct list touched;   /* struct arrival: something has happened to them */
    struct list porch;     /* struct arrival, oldest first (net/porch.h says why) */
    struct parcel *gone;   /* struct arrival: freed when the turn is over */
    struct heap deadlines; /* struct arrival */
    struct door door;
    bool is_stopping;
    uint64_t now_ms, expiry_check_ms;
    unsigned told_expiry;
    struct hush on_plain, on_failure, on_proxy, on_crowd;
};

/* What a parcel in its lane says, besides PARCEL_STRANGER and PARCEL_STOP. */
enum { PARCEL_RELOAD = 1000 };

/* ---- The log, which strangers must not fill. */

static void complain(struct greeter *g, struct hush *t, const struct arrival *a, const char *what, const char *why)
{
    unsigned hidden;
    if (!hush_may(t, HUSH_LINES, g->now_ms, &hidden))
        return;
    char from[ADDRESS_TEXT_MAX], more[64] = "";
    address_format(&a->peer.from, from);
    if (hidden > 0)
        snprintf(more, sizeof more, " (and %u more like this before)", hidden);
    log_warning("net", "%s %s: %s%s", what, from, why, more);
}

/* ---- Coming and going. */

/* Closes it.  It stays until the turn is over, and nothing happens to it any more. */
static void arrival_destroy(struct arrival *a)
{
    struct greeter *g = a->g;
    if (link_is_linked(&a->touched))
        list_remove(&a->touched);
    heap_remove(&g->deadlines, &a->deadline);
    door_leave(&g->door, &a->guest);
    watch_destroy(a->watch);
    SSL_free(a->ssl);
    tls_unref(a->tls);
    peer_fini(&a->peer);
    free(a->header);
    a->watch = NULL;
    a->ssl = NULL;
    a->tls = NULL;
    a->header = NULL;
    a->header_len = 0;
    if (a->fd >= 0) {
        close(a->fd);
        g->config.gone(g->config.arg);
    }
    atomic_fetch_sub(&g->guests, 1);
    a->parcel.next = g->gone;
    g->gone = &a->parcel;
}

static void greeter_bury(struct greeter *g)
{
    for (struct parcel *p = g->gone, *next; p != NULL; p = next) {
        next = p->next;
        free(p);
    }
    g->gone = NULL;
}

/* Takes what the peer has said, so that closing does not throw away what it was told. */
static bool drain(int fd)
{
    uint8_t unread[DRAIN_BYTES];
    ssize_t n = recv(fd, unread, sizeof unread, 0);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* It was told why it must go, if there was somebody to tell; waits for it to hang up. */
static void arrival_dismiss(struct arrival *a)
{
    shutdown(a->fd, SHUT_WR);
    if (!drain(a->fd)) {
        arrival_destroy(a);
        return;
    }
    SSL_free(a->ssl);
    a->ssl = NULL;
    a->stage = STAGE_LEAVING;
    watch_set(a->watch, WATCH_READ);
    heap_set(&a->g->deadlines, &a->deadline, a->g->now_ms + GREETER_LINGER_MS);
}

/* It has shown what it had to. */
static void arrival_pass(struct arrival *a)
{
    struct greeter *g = a->g;
    struct stranger s = {.parcel.kind = PARCEL_STRANGER, .peer = a->peer, .came_ms = a->came_ms};
    watch_destroy(a->watch);
    a->watch = NULL;
    s.transport = a->ssl != NULL ? transport_tls_create(a->fd, a->ssl) : transport_plain_create(a->fd);
    a->fd = -1;
    a->ssl = NULL;
    a->peer = (struct peer){0};
    g->config.pass(g->config.arg, &s);
    arrival_destroy(a);
}

/* ---- The stages.  Each answers whether the next may follow at once; if not, the arrival may be gone. */

static bool is_proxy(const struct greeter *g, const struct address *from)
{
    for (unsigned i = 0; i < g->config.n_proxies; i++)
        if (address_is_in(from, &g->config.proxies[i]))
            return true;
    return false;
}

/* Keeps what was read of a header that is not whole. */
static void keep_header(struct arrival *a, const uint8_t *all, size_t len)
{
    if (a->header == NULL)
        a->header = alloc(PROXY_HEADER_MAX);
    memcpy(a->header, all, len);
    a->header_len = len;
}

/* Looks at what there is before it takes it: what follows the header is somebody else's. */
static bool read_proxy(struct arrival *a)
{
    uint8_t all[PROXY_HEADER_MAX];
    if (a->header_len > 0)
        memcpy(all, a->header, a->header_len);
    ssize_t n = recv(a->fd, all + a->header_len, sizeof all - a->header_len, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        arrival_destroy(a);
        return false;
    }
    size_t used = 0, len = a->header_len + (size_t)n;
    struct address from, to;
    enum proxy_verdict verdict = proxy_read(bytes_of(all, len), &used, &from, &to);
    if (verdict == PROXY_BAD || (verdict == PROXY_MORE && len == sizeof all)) {
        complain(a->g, &a->g->on_proxy, a, "closing", "it begins without a PROXY header");
        arrival_dismiss(a);
        return false;
    }
    size_t taken = verdict == PROXY_MORE ? (size_t)n : used - a->header_len;
    CHECK(recv(a->fd, all + a->header_len, taken, 0) == (ssize_t)taken);
    if (verdict == PROXY_MORE) {
        keep_header(a, all, len);
        return false;
    }
    if (verdict == PROXY_FINE) {
        a->peer.from = from;
        a->peer.to = to;
    }
    a->peer.is_hidden = verdict == PROXY_LOCAL;
    free(a->header);
    a->header = NULL;
    a->header_len = 0;
    a->stage = STAGE_FIRST;
    return true;
}

static const char *guess(const uint8_t *text, size_t n)
{
    struct bytes b = bytes_of(text, n);
    if (bytes_start_with(b, BYTES("AMQP")))
        return "a plain AMQP client on the TLS port?";
    if (bytes_start_with(b, BYTES("GET ")) || bytes_start_with(b, BYTES("POST")) || bytes_start_with(b, BYTES("HEAD")))
        return "an HTTP client on the TLS port?";
    if (bytes_start_with(b, BYTES("PROXY ")) || bytes_start_with(b, BYTES("\r\n\r\n\0\r\nQ")))
        return "a proxy, but proxy_protocol is off?";
    return "no TLS client?";
}

/* The first byte tells TLS from everything else, and only now OpenSSL is needed. */
static bool read_first(struct arrival *a)
{
    if (!a->how.is_tls) {
        arrival_pass(a);
        return false;
    }
    uint8_t text[GREETER_PLAIN_BYTES_MAX];
    ssize_t n = recv(a->fd, text, sizeof text, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        log_debug("net", "a connection to the TLS port was closed before its first byte");
        arrival_destroy(a);
        return false;
    }
    if (text[0] != SSL3_RT_HANDSHAKE) {
        char why[REASON_MAX];
        snprintf(why, sizeof why, "\"%.*s\" is not TLS (%s)", (int)n, (const char *)text, guess(text, (size_t)n));
        complain(a->g, &a->g->on_plain, a, "TLS handshake failed for", why);
        arrival_dismiss(a);
        return false;
    }
    a->tls = tls_ref(a->g->tls);
    a->ssl = tls_open(a->tls, a->fd);
    a->stage = STAGE_TLS;
    return true;
}

/* Why SSL_accept() answered n. */
static void reason_of(struct arrival *a, int error, char reason[REASON_MAX])
{
    long verdict = SSL_get_verify_result(a->ssl);
    unsigned long code = ERR_peek_error();
    if (error == SSL_ERROR_SYSCALL || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        snprintf(reason, REASON_MAX, "the peer closed the connection");
        ERR_clear_error();
        return;
    }
    tls_error(reason, REASON_MAX);
    size_t len = strlen(reason);
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK)
        snprintf(reason + len, REASON_MAX - len, ": %s", X509_verify_cert_error_string(verdict));
}

static void fail_handshake(struct arrival *a, const char *why)
{
    complain(a->g, &a->g->on_failure, a, "TLS handshake failed for", why);
    arrival_dismiss(a);
}

static void shake_hands(struct arrival *a)
{
    const char *fault;
    char reason[REASON_MAX];
    ERR_clear_error();
    errno = 0;
    int n = SSL_accept(a->ssl);
    int error = n == 1 ? SSL_ERROR_NONE : SSL_get_error(a->ssl, n);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        watch_set(a->watch, error == SSL_ERROR_WANT_READ ? WATCH_READ : WATCH_WRITE);
    } else if (n != 1) {
        reason_of(a, error, reason);
        fail_handshake(a, reason);
    } else if (!tls_may_stay(a->tls, a->ssl, &fault)) {
        SSL_shutdown(a->ssl);
        fail_handshake(a, fault);
    } else {
        peer_learn(&a->peer, a->tls, a->ssl);
        arrival_pass(a);
    }
}

static void arrival_go_on(struct arrival *a)
{
    if (a->stage == STAGE_PROXY && !read_proxy(a))
        return;
    if (a->stage == STAGE_FIRST && !read_first(a))
        return;
    if (a->stage == STAGE_TLS)
        shake_hands(a);
    else if (!drain(a->fd))
        arrival_destroy(a);
}

/* ---- Its thread. */

/* Notes what has happened; the turn works it off. */
static void on_arrival(void *arg, unsigned what)
{
    (void)what;
    struct arrival *a = arg;
    if (!link_is_linked(&a->touched))
        list_append(&a->g->touched, &a->touched);
}

static void greeter_evict(struct greeter *g, struct guest *guest)
{
    struct arrival *a = item_of(guest, struct arrival, guest);
    complain(g, &g->on_crowd, a, "closing", "too many connections whose handshake is not done");
    arrival_destroy(a);
}

/* Whether there is room for it at the door, be it that somebody must go for it. */
static bool greeter_makes_room(struct greeter *g, const struct arrival *a)
{
    if (!door_is_full(&g->door))
        return true;
    struct guest *rival = door_rival(&g->door, &a->peer.from, g->now_ms);
    if (rival != NULL)
        greeter_evict(g, rival);
    return rival != NULL;
}

static void greeter_seat(struct greeter *g, struct arrival *a)
{
    a->stage = a->how.has_proxy ? STAGE_PROXY : STAGE_FIRST;
    a->watch = watch_create(g->poller, a->fd, on_arrival, a);
    watch_set(a->watch, WATCH_READ);
    on_arrival(a, WATCH_READ); /* most have sent something already */
    door_enter(&g->door, &a->guest, &a->peer.from, g->now_ms);
    for (struct guest *o; (o = door_overdue(&g->door, &a->guest, g->now_ms)) != NULL;)
        greeter_evict(g, o);
}

/* Those in front come in while there is room; the others have their deadlines. */
static void greeter_tend_porch(struct greeter *g)
{
    while (!list_is_empty(&g->porch)) {
        struct arrival *a = item_of(g->porch.ring.next, struct arrival, touched);
        if (!greeter_makes_room(g, a))
            return;
        list_remove(&a->touched);
        greeter_seat(g, a);
    }
}

static void greeter_welcome(struct greeter *g, struct arrival *a)
{
    link_init(&a->touched);
    heap_node_init(&a->deadline);
    guest_init(&a->guest);
    peer_init(&a->peer, a->fd, &a->peer.from);
    if (g->is_stopping || (a->how.has_proxy && !is_proxy(g, &a->peer.from))) {
        if (!g->is_stopping)
            complain(g, &g->on_proxy, a, "closing", "it is not in proxy_protocol_sources");
        arrival_destroy(a);
        return;
    }
    heap_set(&g->deadlines, &a->deadline,
             a->came_ms + (a->how.is_tls ? g->config.tls_handshake_ms : g->config.handshake_ms));
    if (greeter_makes_room(g, a))
        greeter_seat(g, a);
    else
        list_append(&g->porch, &a->touched);
}

static void greeter_collect(struct greeter *g)
{
    for (struct parcel *p = lane_collect(&g->lane), *next; p != NULL; p = next) {
        next = p->next;
        if (p->kind == PARCEL_STRANGER) {
            greeter_welcome(g, (struct arrival *)(void *)p);
            continue;
        }
        if (p->kind == PARCEL_STOP) {
            g->is_stopping = true;
        } else if (g->tls != NULL) {
            pthread_mutex_lock(&g->tls_lock);
            g->tls = tls_reload(g->tls);
            pthread_mutex_unlock(&g->tls_lock);
            atomic_store(&g->expiry, (long long)tls_expiry(g->tls));
            g->told_expiry = 0;
            g->expiry_check_ms = 0;
        }
        free(p);
    }
}

static void greeter_tick(struct greeter *g)
{
    for (struct heap_node *n; (n = heap_top(&g->deadlines)) != NULL && n->key <= g->now_ms;) {
        struct arrival *a = item_of(n, struct arrival, deadline);
        if (a->stage != STAGE_LEAVING) {
            char why[REASON_MAX];
            snprintf(why, sizeof why, "handshake_timeout: not done within %llu ms",
                     (unsigned long long)(n->key - a->came_ms));
            complain(g, &g->on_failure, a, a->how.is_tls ? "TLS handshake failed for" : "no PROXY header from", why);
        }
        arrival_destroy(a);
    }
    if (g->tls != NULL && g->now_ms >= g->expiry_check_ms) {
        tls_warn_expiry(g->tls, time(NULL), &g->told_expiry);
        g->expiry_check_ms = g->now_ms + TLS_EXPIRY_CHECK_MS;
    }
}

static uint64_t greeter_patience(const struct greeter *g)
{
    if (!list_is_empty(&g->touched))
        return 0;
    uint64_t until = g->tls != NULL ? g->expiry_check_ms : UINT64_MAX;
    const struct heap_node *first = heap_top(&g->deadlines);
    if (first != NULL && first->key < until)
        until = first->key;
    if (!list_is_empty(&g->porch) && door_ripe_at(&g->door) < until)
        until = door_ripe_at(&g->door);
    if (until == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now = clock_ms();
    return until > now ? until - now : 0;
}

static void *greeter_run(void *arg)
{
    struct greeter *g = arg;
    while (!g->is_stopping) {
        uint64_t patience = greeter_patience(g);
        if (patience > 0 && !lane_may_sleep(&g->lane))
            patience = 0;
        poller_turn(g->poller, patience);
        lane_wake(&g->lane);
        g->now_ms = clock_ms();
        greeter_collect(g);
        greeter_tick(g);
        while (!list_is_empty(&g->touched)) {
            struct arrival *a = item_of(g->touched.ring.next, struct arrival, touched);
            list_remove(&a->touched);
            arrival_go_on(a);
        }
        greeter_tend_porch(g);
        greeter_bury(g);
    }
    for (struct heap_node *n; (n = heap_top(&g->deadlines)) != NULL;)
        arrival_destroy(item_of(n, struct arrival, deadline));
    return NULL;
}

static void on_lane(void *arg, unsigned what)
{
    (void)what;
    struct greeter *g = arg;
    lane_drain(&g->lane);
}

/* ---- Its life. */

struct greeter *greeter_create(const struct greeter_config *config)
{
    struct greeter *g = alloc_zeroed(sizeof *g);
    g->config = *config;
    g->tls = config->tls;
    pthread_mutex_init(&g->tls_lock, NULL);
    atomic_init(&g->expiry, config->tls != NULL ? (long long)tls_expiry(config->tls) : LLONG_MAX);
    if (g->config.tls_handshake_ms > g->config.handshake_ms)
        g->config.tls_handshake_ms = g->config.handshake_ms;
    atomic_init(&g->guests, 0);
    g->poller = poller_create();
    list_init(&g->touched);
    list_init(&g->porch);
    heap_init(&g->deadlines);
    door_init(&g->door, DOOR_GUESTS_MAX, DOOR_GUESTS_PER_PLACE_MAX);
    lane_init(&g->lane);
    g->lane_watch = watch_create(g->poller, g->lane.wake_fd, on_lane, g);
    watch_set(g->lane_watch, WATCH_READ);
    g->now_ms = clock_ms();

    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    CHECK(pthread_create(&g->thread, NULL, greeter_run, g) == 0);
    pthread_setname_np(g->thread, "greeter");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    g->is_running = true;
    return g;
}

static void post(struct greeter *g, int kind)
{
    struct parcel *p = alloc_zeroed(sizeof *p);
    p->kind = kind;
    lane_post(&g->lane, p);
}

void greeter_stop(struct greeter *g)
{
    if (!g->is_running)
        return;
    post(g, PARCEL_STOP);
    pthread_join(g->thread, NULL);
    g->is_running = false;
    greeter_collect(g); /* what came at the same time */
}

void greeter_destroy(struct greeter *g)
{
    if (g == NULL)
        return;
    greeter_stop(g);
    watch_destroy(g->lane_watch);
    lane_fini(&g->lane);
    door_fini(&g->door);
    heap_fini(&g->deadlines);
    poller_destroy(g->poller);
    greeter_bury(g);
    tls_unref(g->tls);
    pthread_mutex_destroy(&g->tls_lock);
    free(g);
}

void greeter_take(struct greeter *g, int fd, const struct address *from, struct greeting how)
{
    struct arrival *a = alloc_zeroed(sizeof *a);
    a->parcel.kind = PARCEL_STRANGER;
    a->g = g;
    a->fd = fd;
    a->how = how;
    a->peer.from = *from;
    a->came_ms = clock_ms();
    atomic_fetch_add(&g->guests, 1);
    lane_post(&g->lane, &a->parcel);
}

unsigned greeter_guests(const struct greeter *g)
{
    return atomic_load(&g->guests);
}

bool greeter_has_room(const struct greeter *g)
{
    return greeter_guests(g) < DOOR_GUESTS_MAX + PORCH_MAX;
}

int64_t greeter_expiry(const struct greeter *g)
{
    return atomic_load(&g->expiry);
}

bool greeter_describe(struct greeter *g, struct tls_facts *to)
{
    pthread_mutex_lock(&g->tls_lock);
    bool has_tls = g->tls != NULL;
    if (has_tls)
        tls_describe(g->tls, to);
    pthread_mutex_unlock(&g->tls_lock);
    return has_tls;
}

void greeter_reload(struct greeter *g)
{
    post(g, PARCEL_RELOAD);
}
