#define _GNU_SOURCE
#include "broker/admin/admin.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

enum { BACKLOG = 1024, OWNER_ONLY = 0600, FAREWELL_MS = 1000 };

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

/* ---- HTTP. */

/* A connection was accepted: what it is read and written through.  libevent does not say how many connections it has,
 * or when one ends; but what it has freed has no callbacks any more, and a reference keeps it there to be looked at. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    struct admin *a = arg;
    struct bufferevent *connection = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    CHECK(connection != NULL);
    if (a->n_connections == ADMIN_CONNECTIONS_MAX)
        return connection; /* it was on its way already */
    bufferevent_incref(connection);
    a->connections[a->n_connections++] = connection;
    if (a->n_connections == ADMIN_CONNECTIONS_MAX)
        evconnlistener_disable(a->listener); /* the others wait in the backlog */
    return connection;
}

static bool has_ended(struct bufferevent *connection)
{
    void *owner;
    bufferevent_getcb(connection, NULL, NULL, NULL, &owner);
    return owner == NULL;
}

/* Lets go of connections that have ended. */
static void admin_sweep(struct admin *a)
{
    bool was_full = a->n_connections == ADMIN_CONNECTIONS_MAX;
    for (unsigned i = 0; i < a->n_connections;) {
        if (has_ended(a->connections[i])) {
            bufferevent_decref(a->connections[i]);
            a->connections[i] = a->connections[--a->n_connections];
        } else {
            i++;
        }
    }
    if (was_full && a->n_connections < ADMIN_CONNECTIONS_MAX)
        evconnlistener_enable(a->listener);
}

static void on_request(struct evhttp_request *http, void *arg)
{
    arrival_begin(arg, http);
}

static void create_http(struct admin *a, int fd)
{
    const int methods = EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                        EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH;
    a->http = evhttp_new(a->base);
    CHECK(a->http != NULL);
    evhttp_set_allowed_methods(a->http, (ev_uint16_t)methods);
    evhttp_set_default_content_type(a->http, NULL);
    evhttp_set_max_headers_size(a->http, ADMIN_HEADER_BYTES_MAX);
    evhttp_set_max_body_size(a->http, ADMIN_BODY_BYTES_MAX);
    evhttp_set_timeout(a->http, ADMIN_TIMEOUT_S);
    evhttp_set_bevcb(a->http, on_connection, a);
    evhttp_set_gencb(a->http, on_request, a);
    a->listener = evconnlistener_new(a->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    CHECK(a->listener != NULL && evhttp_bind_listener(a->http, a->listener) != NULL);
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
    admin_sweep(a);
    admin_collect(a);
    admin_post(a);
    audit_flush();
    if (a->has_answered_much && a->answers == 0) {
        malloc_trim(0);
        a->has_answered_much = false;
    }
}

static void on_farewell(void *arg)
{
    (void)arg; /* it has woken the loop, which looks at the clock */
}

static void *admin_run(void *arg)
{
    struct admin *a = arg;
    while (!a->is_stopping)
        admin_turn(a);
    /* Whoever asked for the end shall have an answer. */
    uint64_t end = clock_ms() + FAREWELL_MS;
    struct ticker *farewell = ticker_create(a->base, on_farewell, NULL);
    ticker_set(farewell, FAREWELL_MS);
    while (a->answers > 0 && clock_ms() < end)
        admin_turn(a);
    ticker_destroy(farewell);
    return NULL;
}

struct admin *admin_create(const struct admin_config *config, char **error)
{
    int fd = listen_at(config->socket, error);
    if (fd < 0)
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
    a->has_socket = true;
    shape_load(a->templates);
    a->collector = collector_create(a);
    create_http(a, fd);
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
    log_info("admin", "started control socket %s", a->config.socket);
}

void admin_stop(struct admin *a)
{
    if (!a->has_thread)
        return;
    struct parcel *stop = alloc_zeroed(sizeof *stop);
    stop->kind = PARCEL_STOP;
    lane_post(&a->lane, stop);
    pthread_join(a->thread, NULL);
    a->has_thread = false;
    a->has_socket = false;
    unlink(a->config.socket);
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
    for (unsigned i = 0; i < TEMPLATES; i++)
        json_decref(a->templates[i]);
    evhttp_free(a->http);
    for (unsigned i = 0; i < a->n_connections; i++)
        bufferevent_decref(a->connections[i]);
    event_base_free(a->base);
    slots_fini(&a->requests);
    outbox_fini(&a->outbox);
    lane_fini(&a->lane);
    free(a);
}
