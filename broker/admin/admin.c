#define _GNU_SOURCE
#include "broker/admin/admin.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/admin/arrival.h"
#include "broker/admin/collector.h"
#include "broker/admin/request.h"
#include "broker/admin/shape.h"
#include "broker/admin/state.h"
#include "broker/admin/ticker.h"
#include "broker/admin/visit.h"
#include "broker/net/hub.h"
#include "broker/net/tls.h"

/* A parcel of our own to ourselves. */
enum { PARCEL_CERTIFICATES = PARCEL_NEWS + 100 };

enum { BACKLOG = 1024, OWNER_ONLY = 0600, FAREWELL_MS = 1000 };

/* How much nicer than the threads of messages this one is. */
enum { ADMIN_NICENESS = 10 };

/* ---- The socket. */

static char *socket_problem(const char *path, const char *what)
{
    return str_format("control socket %s: %s", path, what);
}

/* NULL, or why there cannot be a socket of that name; one that nobody answers is removed. */
static char *clear_the_way(const struct sockaddr_un *to)
{
    struct stat st;
    if (lstat(to->sun_path, &st) != 0)
        return errno == ENOENT ? NULL : socket_problem(to->sun_path, strerrordesc_np(errno));
    if (!S_ISSOCK(st.st_mode))
        return socket_problem(to->sun_path, "there is a file of that name");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    int failure = connect(fd, (const struct sockaddr *)to, sizeof *to) == 0 ? 0 : errno;
    close(fd);
    if (failure != ECONNREFUSED)
        return socket_problem(to->sun_path, failure == 0 ? "another broker listens there" : strerrordesc_np(failure));
    return unlink(to->sun_path) == 0 ? NULL : socket_problem(to->sun_path, strerrordesc_np(errno));
}

/* A socket that listens, or -1.  Its mode is right from the first moment: the system takes it from the descriptor, less
 * the umask, which may take away too much. */
static int listen_at(const char *path, char **error)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path) {
        *error = str_format("control socket %s: the path is longer than %zu bytes", path, sizeof to.sun_path - 1);
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path) + 1);
    *error = clear_the_way(&to);
    if (*error != NULL)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    if (fchmod(fd, OWNER_ONLY) == 0 && bind(fd, (const struct sockaddr *)&to, sizeof to) == 0 &&
        chmod(path, OWNER_ONLY) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    *error = socket_problem(path, strerrordesc_np(errno));
    close(fd);
    return -1;
}

/* ---- The doors. */

/* Where that door's TLS is kept; several may share one. */
static struct tls *const *keep_tls(struct admin *a, struct tls *tls)
{
    unsigned i = 0;
    while (i < a->n_tls && a->tls[i] != tls)
        i++;
    if (i == a->n_tls) {
        CHECK(a->n_tls < ADMIN_TLS_MAX);
        a->tls[a->n_tls++] = tls_ref(tls);
    }
    return &a->tls[i];
}

static void note_expiry(struct admin *a)
{
    int64_t expiry = INT64_MAX;
    for (unsigned i = 0; i < a->n_tls; i++)
        expiry = tls_expiry(a->tls[i]) < expiry ? tls_expiry(a->tls[i]) : expiry;
    atomic_store(&a->expiry, expiry);
}

static void on_expiry_watch(void *arg)
{
    struct admin *a = arg;
    for (unsigned i = 0; i < a->n_tls; i++)
        tls_warn_expiry(a->tls[i], time(NULL), &a->told_expiry[i]);
    if (a->n_tls > 0)
        ticker_set(a->expiry_watch, TLS_EXPIRY_CHECK_MS);
}

static void open_doors(struct admin *a, int control)
{
    const struct http_hooks hooks = {.head = arrival_on_head,
                                     .body = arrival_on_body,
                                     .gone = arrival_on_gone,
                                     .arg = a,
                                     .idle_ms = a->config.idle_ms,
                                     .head_ms = a->config.head_ms};
    a->http = http_create(a->base, &hooks);
    if (control >= 0)
        http_listen(a->http, control, ENTRANCE_CONTROL, NULL);
    for (unsigned i = 0; i < a->config.n_doors; i++) {
        struct admin_door *d = &a->config.doors[i];
        http_listen(a->http, d->fd, d->entrance, d->tls != NULL ? keep_tls(a, d->tls) : NULL);
        d->fd = -1;
    }
    note_expiry(a);
}

static void admin_reload(struct admin *a)
{
    for (unsigned i = 0; i < a->n_tls; i++)
        a->tls[i] = tls_reload(a->tls[i]);
    memset(a->told_expiry, 0, sizeof a->told_expiry);
    on_expiry_watch(a);
    note_expiry(a);
}

/* ---- The hub. */

static void admin_open_mail(struct admin *a, struct mail *m)
{
    while (m->batches != NULL) {
        struct batch *b = m->batches;
        m->batches = b->next;
        outbox_give(&a->outbox, b);
    }
    for (size_t i = 0; i < m->n; i++) {
        struct event *e = &m->events[i];
        bool is_visits = e->to.outlet.generation != DESK_GENERATION;
        struct request *r = NULL;
        if (is_visits)
            visit_on_event(a, e);
        else if (!collector_on_event(a->collector, e))
            r = slots_find(&a->requests, e->to.outlet.slot, (uint32_t)e->cookie);
        if (r != NULL)
            request_on_event(r, e);
        event_drop(e);
    }
    m->n = 0;
    mail_destroy(m);
}

static void admin_collect(struct admin *a)
{
    for (struct parcel *p = lane_collect(&a->lane), *next; p != NULL; p = next) {
        next = p->next;
        if (p->kind == PARCEL_MAIL) {
            admin_open_mail(a, mail_of(p));
            continue;
        }
        if (p->kind == PARCEL_CERTIFICATES)
            admin_reload(a);
        else
            a->is_stopping = true;
        free(p);
    }
}

static void admin_post(struct admin *a)
{
    struct batch *all = outbox_take(&a->outbox);
    if (all == NULL)
        return;
    struct mail *m = mail_create(HUB_DESK);
    m->batches = all;
    lane_post(a->to, &m->parcel);
}

/* ---- Its life. */

static void on_lane(void *arg)
{
    lane_drain(&((struct admin *)arg)->lane);
}

static void admin_turn(struct admin *a)
{
    bool may_sleep = lane_may_sleep(&a->lane);
    event_base_loop(a->base, EVLOOP_ONCE | (may_sleep ? 0 : EVLOOP_NONBLOCK));
    lane_wake(&a->lane);
    admin_collect(a);
    admin_post(a);
    audit_flush();
    if (a->has_answered_much && http_unwritten(a->http) == 0) {
        malloc_trim(0);
        a->has_answered_much = false;
    }
}

static void on_farewell(void *arg)
{
    (void)arg; /* it has woken the loop, which looks at the clock */
}

/* Whoever asks much of us, handshakes of TLS and large listings, shall not take processors from messages.  Linux holds
 * this by thread; a sandbox may forbid it, and then it stays as it is. */
static void admin_give_way(void)
{
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + ADMIN_NICENESS);
}

static void *admin_run(void *arg)
{
    struct admin *a = arg;
    admin_give_way();
    while (!a->is_stopping)
        admin_turn(a);
    /* Whoever asked for the end shall have an answer. */
    uint64_t end = clock_ms() + FAREWELL_MS;
    struct ticker *farewell = ticker_create(a->base, on_farewell, NULL);
    ticker_set(farewell, FAREWELL_MS);
    while (http_unwritten(a->http) > 0 && clock_ms() < end)
        admin_turn(a);
    ticker_destroy(farewell);
    return NULL;
}

struct admin *admin_create(const struct admin_config *config, char **error)
{
    int fd = config->socket != NULL ? listen_at(config->socket, error) : -1;
    if (fd < 0 && config->socket != NULL)
        return NULL;
    struct admin *a = alloc_zeroed(sizeof *a);
    a->config = *config;
    struct event_config *how = event_config_new();
    CHECK(how != NULL);
    event_config_set_flag(how, EVENT_BASE_FLAG_NOLOCK);
    a->base = event_base_new_with_config(how);
    event_config_free(how);
    CHECK(a->base != NULL);
    lane_init(&a->lane);
    outbox_init(&a->outbox);
    slots_init(&a->requests);
    slots_init(&a->visits);
    list_init(&a->turns);
    a->started_ms = clock_ms();
    a->has_socket = config->socket != NULL;
    shape_load(a->templates);
    a->collector = collector_create(a);
    open_doors(a, fd);
    a->expiry_watch = ticker_create(a->base, on_expiry_watch, a);
    if (a->n_tls > 0)
        ticker_set(a->expiry_watch, 0);
    a->watch = ticker_watch(a->base, a->lane.wake_fd, on_lane, a);
    return a;
}

struct lane *admin_lane(struct admin *a)
{
    return &a->lane;
}

void admin_start(struct admin *a, struct lane *to, const struct hub *hub)
{
    a->to = to;
    a->hub = hub;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    CHECK(pthread_create(&a->thread, NULL, admin_run, a) == 0);
    pthread_setname_np(a->thread, "admin");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    a->has_thread = true;
    if (a->has_socket)
        log_info("admin", "started control socket %s", a->config.socket);
}

static void post(struct admin *a, int kind)
{
    struct parcel *p = alloc_zeroed(sizeof *p);
    p->kind = kind;
    lane_post(&a->lane, p);
}

void admin_reload_certificates(struct admin *a)
{
    post(a, PARCEL_CERTIFICATES);
}

int64_t admin_certificate_expiry(struct admin *a)
{
    return atomic_load(&a->expiry);
}

void admin_stop(struct admin *a)
{
    if (!a->has_thread)
        return;
    post(a, PARCEL_STOP);
    pthread_join(a->thread, NULL);
    a->has_thread = false;
    if (a->has_socket)
        unlink(a->config.socket);
    a->has_socket = false;
}

void admin_destroy(struct admin *a)
{
    if (a == NULL)
        return;
    if (a->has_socket)
        unlink(a->config.socket);
    collector_destroy(a->collector);
    a->collector = NULL; /* what it has asked for may still come */
    for (uint32_t i = 0; i < a->requests.count; i++)
        request_destroy(a->requests.at[i].item);
    admin_collect(a);
    visits_fini(a);
    ticker_destroy(a->watch);
    ticker_destroy(a->expiry_watch);
    for (unsigned i = 0; i < TEMPLATES; i++)
        json_decref(a->templates[i]);
    http_destroy(a->http);
    for (unsigned i = 0; i < a->n_tls; i++)
        tls_unref(a->tls[i]);
    event_base_free(a->base);
    slots_fini(&a->requests);
    outbox_fini(&a->outbox);
    lane_fini(&a->lane);
    free(a);
}
