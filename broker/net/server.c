#define _GNU_SOURCE
#include "broker/net/server.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "broker/net/hub.h"
#include "broker/net/hush.h"
#include "broker/net/loop.h"
#include "broker/net/tls.h"
#include "broker/net/transport.h"

/* A listener, and what is spoken there. */
struct entrance {
    struct server *server;     /* borrowed, once there is one */
    struct listener *listener; /* owned */
    struct greeting how;
};

struct server {
    struct server_config config;
    struct server_sockets *sockets; /* owned */
    char *addresses;                /* owned */
    struct hub *hub;                /* owned */
    struct loop **loops;            /* owned: the first is the main thread's */
    struct loop_shared shared;
    struct lane **lanes;         /* owned: the loops' */
    pthread_t *threads;          /* owned: of all loops but the first */
    bool *has_ended;             /* owned: what loop_run() said, by loop */
    struct greeter *greeter;     /* owned; NULL: no listener needs it */
    atomic_uint next_loop;       /* whose turn it is to get a connection */
    struct hush on_crowd;        /* the main thread's */
    unsigned signals;            /* that asked for an end */
    void (*end_desk)(void *arg); /* NULL: nobody sits there */
    void *desk;
    struct timer *look;    /* owned; NULL: nobody looks */
    pthread_mutex_t doors; /* who suspends listeners, and who closes them */
    bool is_suspended;     /* under doors */
};

/* ---- Where it listens. */

struct server_sockets {
    struct entrance *at; /* owned */
    unsigned n;
};

static bool open_sockets(struct server_sockets *to, const struct server_config *config, bool is_unix, char **error)
{
    for (unsigned i = 0; i < config->n_listeners; i++) {
        struct listener *opened[LISTENER_SOCKETS_MAX];
        if (listener_is_unix(config->listeners[i].text) != is_unix)
            continue;
        int n = listener_open(config->listeners[i].text, &config->socket, opened, error);
        if (n < 0)
            return false;
        to->at = alloc_array(to->at, to->n + (unsigned)n, sizeof *to->at);
        for (int k = 0; k < n; k++)
            to->at[to->n++] = (struct entrance){.listener = opened[k], .how = config->listeners[i].how};
    }
    return true;
}

struct server_sockets *server_bind(const struct server_config *config, char **error)
{
    struct server_sockets *sockets = alloc_zeroed(sizeof *sockets);
    if (open_sockets(sockets, config, false, error))
        return sockets;
    server_unbind(sockets);
    return NULL;
}

static void close_sockets(struct server_sockets *sockets)
{
    while (sockets->n > 0)
        listener_destroy(sockets->at[--sockets->n].listener);
}

void server_unbind(struct server_sockets *sockets)
{
    if (sockets == NULL)
        return;
    close_sockets(sockets);
    free(sockets->at);
    free(sockets);
}

/* "amqp A, B, amqps C": each kind named before the first of it, in the order of the listeners. */
static void server_tell_address(struct server *s, const struct entrance *e, const char *text)
{
    bool is_first = true;
    for (const struct entrance *o = s->sockets->at; o < e; o++)
        is_first = is_first && o->how.is_tls != e->how.is_tls;
    const char *kind = e->how.is_tls ? "amqps " : is_first ? "amqp " : "";
    char *all =
        s->addresses == NULL ? str_format("%s%s", kind, text) : str_format("%s, %s%s", s->addresses, kind, text);
    free(s->addresses);
    s->addresses = all;
    log_info("main", "started %s listener on %s",
             e->how.is_tls                                    ? "TLS (SSL)"
             : address_is_unix(listener_address(e->listener)) ? "UNIX"
                                                              : "TCP",
             text);
}

static bool server_listen(struct server *s, char **error)
{
    if (!open_sockets(s->sockets, &s->config, true, error))
        return false;
    for (unsigned i = 0; i < s->sockets->n; i++) {
        struct entrance *e = &s->sockets->at[i];
        char text[ADDRESS_TEXT_MAX];
        address_format(listener_address(e->listener), text);
        int status = listener_listen(e->listener);
        if (status != 0) {
            *error = str_format("cannot listen on %s: %s", text, strerrordesc_np(-status));
            return false;
        }
        e->server = s;
        server_tell_address(s, e, text);
    }
    return true;
}

const char *server_addresses(const struct server *s)
{
    return s->addresses != NULL ? s->addresses : "amqp none";
}

void server_destroy(struct server *s)
{
    if (s == NULL)
        return;
    server_unbind(s->sockets);
    pthread_mutex_destroy(&s->doors);
    if (s->greeter == NULL)
        tls_unref(s->config.tls);
    greeter_destroy(s->greeter);
    timer_destroy(s->look);
    for (unsigned i = 0; i < s->shared.n_loops; i++)
        loop_destroy(s->loops[i]);
    hub_destroy(s->hub);
    free((void *)s->loops);
    free((void *)s->lanes);
    free(s->threads);
    free(s->has_ended);
    free(s->addresses);
    free(s);
}

/* ---- While it serves, on the main thread. */

/* Who would get the next connection has room for it. */
static bool has_room(void *arg)
{
    const struct entrance *e = arg;
    struct server *s = e->server;
    if (e->how.is_tls || e->how.has_proxy)
        return greeter_has_room(s->greeter);
    return loop_has_room(&s->shared, atomic_load(&s->next_loop) % s->shared.n_loops);
}

/* To its loop; from the main thread and from the greeter's. */
static void server_pass(struct server *s, struct stranger *stranger, bool is_main)
{
    unsigned number = atomic_fetch_add(&s->next_loop, 1) % s->shared.n_loops;
    atomic_fetch_add(&s->shared.guests[number], 1);
    if (is_main && number == 0) {
        loop_welcome(s->loops[0], stranger);
    } else {
        struct stranger *copy = alloc_copy(stranger, sizeof *stranger);
        lane_post(s->lanes[number], &copy->parcel);
    }
}

/* Whether connections_max leaves room, apart from those who come in to be told that it does not.  Who has not logged in
 * takes no room: strangers have limits of their own, and must not use up this one. */
static bool server_has_room(struct server *s)
{
    const unsigned max = s->config.connections_max;
    unsigned open = atomic_load(&s->shared.connections),
             strangers = s->greeter != NULL ? greeter_guests(s->greeter) : 0;
    for (unsigned i = 0; i < s->shared.n_loops; i++)
        strangers += atomic_load(&s->shared.guests[i]);
    /* On the way from the greeter to a loop one is both's guest for a moment. */
    return max == 0 || open < strangers || open - strangers < max + SERVER_REFUSALS_MAX;
}

void server_set_connections_max(struct server *s, unsigned max)
{
    s->config.connections_max = max;
}

static void server_turn_away(struct server *s, int fd)
{
    unsigned hidden;
    char more[64] = "";
    close(fd);
    if (!hush_may(&s->on_crowd, HUSH_LINES, clock_ms(), &hidden))
        return;
    if (hidden > 0)
        snprintf(more, sizeof more, " (and %u more like this before)", hidden);
    log_warning("net", "connection refused: node connection limit (%u) is reached%s", s->config.connections_max, more);
}

static void on_connection(void *arg, int fd, const struct address *from)
{
    const struct entrance *e = arg;
    struct server *s = e->server;
    if (!server_has_room(s)) {
        server_turn_away(s, fd);
        return;
    }
    atomic_fetch_add(&s->shared.connections, 1);
    if (e->how.is_tls || e->how.has_proxy) {
        greeter_take(s->greeter, fd, from, e->how);
        return;
    }
    struct stranger here = {
        .parcel.kind = PARCEL_STRANGER, .transport = transport_plain_create(fd), .came_ms = clock_ms()};
    peer_init(&here.peer, fd, from);
    server_pass(s, &here, true);
}

/* The greeter's, on its thread. */
static void on_greeted(void *arg, struct stranger *stranger)
{
    server_pass(arg, stranger, false);
}

static void on_ungreeted(void *arg)
{
    struct server *s = arg;
    atomic_fetch_sub(&s->shared.connections, 1);
}

static void server_tell_loops(struct server *s, enum parcel_kind kind)
{
    for (unsigned i = 1; i < s->shared.n_loops; i++) {
        struct parcel *p = alloc_zeroed(sizeof *p);
        p->kind = (int)kind;
        lane_post(s->lanes[i], p);
    }
}

static void on_stop(void *arg, int number)
{
    struct server *s = arg;
    log_notice("main", "%s received - shutting down%s", number == SIGTERM ? "SIGTERM" : "SIGINT",
               s->signals == 0 ? "" : " at once");
    pthread_mutex_lock(&s->doors);
    close_sockets(s->sockets);
    pthread_mutex_unlock(&s->doors);
    if (s->greeter != NULL)
        greeter_stop(s->greeter); /* whom it has passed on comes before what the loops are told now */
    if (s->signals == 0 && s->config.watch.stopping != NULL)
        s->config.watch.stopping(s->config.watch.arg);
    if (s->signals++ == 0) {
        hub_tell_shutdown(s->hub); /* before the first connection is closed for it */
        server_tell_loops(s, PARCEL_STOP);
        loop_stop(s->loops[0]);
    } else {
        server_tell_loops(s, PARCEL_HURRY);
        loop_hurry(s->loops[0]);
    }
}

static void server_tell_reload(struct server *s, bool is_over)
{
    if (s->config.watch.reloading != NULL)
        s->config.watch.reloading(s->config.watch.arg, is_over);
}

static void on_look(void *arg)
{
    struct server *s = arg;
    s->config.watch.look(s->config.watch.arg);
    timer_set(s->look, s->config.watch.look_ms);
}

static void reopen_files(void)
{
    int status = log_reopen();
    if (status != 0)
        log_error("main", "the log cannot be opened anew: %s", strerrordesc_np(-status));
    status = audit_is_on() ? audit_reopen() : 0;
    if (status != 0)
        log_error("main", "the audit log cannot be opened anew: %s", strerrordesc_np(-status));
}

/* What rotates logs by SIGUSR1 must not end the broker. */
static void on_user_signal(void *arg, int number)
{
    struct server *s = arg;
    if (number == SIGUSR1) {
        log_notice("main", "SIGUSR1 received - reopening files");
        reopen_files();
        return;
    }
    unsigned guests = s->greeter != NULL ? greeter_guests(s->greeter) : 0;
    for (unsigned i = 0; i < s->shared.n_loops; i++)
        guests += atomic_load(&s->shared.guests[i]);
    log_notice("main", "SIGUSR2 received - %u connections, %u of them not logged in yet, on %u threads; %s%s",
               atomic_load(&s->shared.connections), guests, s->shared.n_loops, server_addresses(s),
               server_is_suspended(s) ? " (suspended)" : "");
}

static void on_hangup(void *arg, int number)
{
    struct server *s = arg;
    (void)number;
    server_tell_reload(s, false);
    log_notice("main", "SIGHUP received - reopening files%s", s->config.tls != NULL ? ", reloading certificates" : "");
    reopen_files();
    if (s->config.tls != NULL)
        greeter_reload(s->greeter);
    if (s->config.on_hangup != NULL)
        s->config.on_hangup(s->config.on_hangup_arg);
    server_tell_reload(s, true);
}

/* ---- Its life. */

unsigned server_threads_for(unsigned cores)
{
    if (cores < SERVER_THREADS_CORES)
        return 0;
    return cores / 2 < SERVER_THREADS_MAX ? cores / 2 : SERVER_THREADS_MAX;
}

int64_t server_certificate_expiry(const struct server *s)
{
    return s->greeter != NULL ? greeter_expiry(s->greeter) : INT64_MAX;
}

void server_suspend(struct server *s)
{
    pthread_mutex_lock(&s->doors);
    for (unsigned i = 0; i < s->sockets->n; i++) /* if not all could be resumed, some are open */
        listener_suspend(s->sockets->at[i].listener);
    s->is_suspended = true;
    pthread_mutex_unlock(&s->doors);
    log_warning("main", "Suspended all listeners and will no longer accept client connections");
}

int server_resume(struct server *s)
{
    int status = 0;
    pthread_mutex_lock(&s->doors);
    for (unsigned i = 0; i < s->sockets->n; i++) {
        int error = listener_resume(s->sockets->at[i].listener);
        status = status != 0 ? status : error;
    }
    s->is_suspended = status != 0;
    pthread_mutex_unlock(&s->doors);
    if (status == 0)
        log_notice("main", "Resumed all listeners and will accept client connections again");
    else
        log_error("main", "not all listeners could be resumed: %s", strerrordesc_np(-status));
    return status;
}

bool server_is_suspended(struct server *s)
{
    pthread_mutex_lock(&s->doors);
    bool is_suspended = s->is_suspended;
    pthread_mutex_unlock(&s->doors);
    return is_suspended;
}

bool server_describe_certificate(const struct server *s, struct tls_facts *to)
{
    return s->greeter != NULL && greeter_describe(s->greeter, to);
}

struct hub *server_hub(struct server *s)
{
    return s->hub;
}

/* If any listener needs it. */
static void server_hire_greeter(struct server *s)
{
    const struct server_config *c = &s->config;
    bool is_needed = c->tls != NULL;
    for (unsigned i = 0; i < c->n_listeners; i++)
        is_needed = is_needed || c->listeners[i].how.is_tls || c->listeners[i].how.has_proxy;
    if (!is_needed)
        return;
    const struct greeter_config gc = {.tls = c->tls,
                                      .handshake_ms = c->session.handshake_timeout_ms,
                                      .tls_handshake_ms = c->tls_handshake_ms,
                                      .proxies = c->proxies,
                                      .n_proxies = c->n_proxies,
                                      .pass = on_greeted,
                                      .gone = on_ungreeted,
                                      .arg = s};
    s->greeter = greeter_create(&gc);
}

struct lane *server_seat(struct server *s, struct lane *desk, void (*end)(void *arg), void *arg)
{
    s->end_desk = end;
    s->desk = arg;
    hub_seat(s->hub, desk);
    return s->shared.has_threads ? hub_inbox(s->hub) : s->lanes[0];
}

static void server_end_desk(struct server *s)
{
    if (s->end_desk != NULL)
        s->end_desk(s->desk);
}

struct server *server_create(const struct server_config *config, struct server_sockets *sockets, struct broker *broker,
                             char **error)
{
    struct server *s = alloc_zeroed(sizeof *s);
    s->config = *config;
    s->sockets = sockets;
    pthread_mutex_init(&s->doors, NULL);
    s->hub = hub_create(broker, config->keeper, config->io_threads);
    if (!server_listen(s, error)) {
        server_destroy(s);
        return NULL;
    }
    unsigned n = config->io_threads > 0 ? config->io_threads : 1;
    CHECK(n <= LOOPS_MAX);
    s->shared.session = &s->config.session;
    s->shared.hub = s->hub;
    s->shared.n_loops = n;
    s->shared.has_threads = config->io_threads > 0;
    atomic_init(&s->shared.connections, 0);
    for (unsigned i = 0; i < n; i++)
        atomic_init(&s->shared.guests[i], 0);
    s->loops = alloc_zeroed(n * sizeof(struct loop *));
    s->lanes = alloc_zeroed(n * sizeof(struct lane *));
    s->threads = alloc_zeroed(n * sizeof *s->threads);
    s->has_ended = alloc_zeroed(n * sizeof *s->has_ended);
    for (unsigned i = 0; i < n; i++) {
        s->loops[i] = loop_create(&s->shared, i);
        s->lanes[i] = loop_lane(s->loops[i]);
    }
    if (!s->shared.has_threads)
        hub_attach(s->hub, s->lanes[0]);
    server_hire_greeter(s);
    /* Now, so that whoever sees that it listens may signal it. */
    struct poller *p = loop_poller(s->loops[0]);
    poller_signal(p, SIGTERM, on_stop, s);
    poller_signal(p, SIGINT, on_stop, s);
    poller_signal(p, SIGHUP, on_hangup, s);
    poller_signal(p, SIGUSR1, on_user_signal, s);
    poller_signal(p, SIGUSR2, on_user_signal, s);
    return s;
}

struct loop_thread {
    struct loop *loop, *first;
    bool *has_ended;
};

static void *loop_thread_run(void *arg)
{
    struct loop_thread *t = arg;
    *t->has_ended = loop_run(t->loop, t->first);
    return NULL;
}

/* Signals are the main thread's; those that it starts inherit that they have none. */
static void server_start_threads(struct server *s, struct loop_thread *threads)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    hub_start(s->hub, s->lanes);
    for (unsigned i = 1; i < s->shared.n_loops; i++) {
        threads[i] = (struct loop_thread){.loop = s->loops[i], .first = s->loops[0], .has_ended = &s->has_ended[i]};
        CHECK(pthread_create(&s->threads[i], NULL, loop_thread_run, &threads[i]) == 0);
        pthread_setname_np(s->threads[i], "loop");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool server_run(struct server *s)
{
    /* cppcheck-suppress variableScope; the threads borrow it until they are joined */
    struct loop_thread threads[LOOPS_MAX];
    struct poller *p = loop_poller(s->loops[0]);
    if (s->shared.has_threads)
        server_start_threads(s, threads);
    if (s->config.watch.look_ms > 0) {
        s->look = timer_new(p, on_look, s);
        timer_set(s->look, s->config.watch.look_ms);
    }
    for (unsigned i = 0; i < s->sockets->n; i++) {
        const struct listener_host host = {.has_room = has_room, .take = on_connection, .arg = &s->sockets->at[i]};
        listener_start(s->sockets->at[i].listener, p, &host);
    }
    if (s->config.watch.serving != NULL)
        s->config.watch.serving(s->config.watch.arg);

    bool has_ended = loop_run(s->loops[0], s->loops[0]);
    if (!s->shared.has_threads) {
        server_end_desk(s);
        return has_ended;
    }
    for (unsigned i = 1; i < s->shared.n_loops; i++) {
        pthread_join(s->threads[i], NULL);
        has_ended = has_ended && s->has_ended[i];
    }
    server_end_desk(s);
    hub_stop(s->hub);
    return has_ended;
}
