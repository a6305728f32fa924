#define _GNU_SOURCE
#include "broker/perf/site.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "broker/perf/die.h"
#include "broker/perf/link_tls.h"

static void find_broker(struct perf_site *s, struct perf_result *r)
{
    const struct perf_uri *uri = &s->o->uri;
    struct link_server server = {0};
    struct link l;
    s->to = (struct link_to){.host = uri->host,
                             .port = uri->port,
                             .user = uri->user,
                             .password = uri->password,
                             .vhost = uri->vhost,
                             .server = &server};
    if (uri->is_tls || s->o->churn == PERF_CHURN_CONNECTIONS_TLS) {
        s->tls = link_tls_create(s->o->ca_file, s->o->tls_version);
        if (s->o->cert_file != NULL)
            link_tls_show(s->tls, s->o->cert_file, s->o->key_file);
        s->to.tls = s->tls;
    }
    link_init(&l, &s->to);
    link_fini(&l);
    s->to.server = NULL;
    memcpy(r->product, server.product, sizeof server.product);
    memcpy(r->version, server.version, sizeof server.version);
}

void perf_site_init(struct perf_site *s, const struct perf_options *o, struct perf_result *r,
                    struct perf_progress *progress)
{
    sigset_t set;
    *s = (struct perf_site){.o = o};
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (s->signals < 0)
        die("signalfd: %s", strerrordesc_np(errno));
    if (o->pid > 0 && perf_server_find(&s->server, o->pid) != 0)
        die("there is no process %d", o->pid);
    perf_server_forget_peak(&s->server);
    find_broker(s, r);
    perf_watch_init(&s->watch, r, o->pid > 0 ? &s->server : NULL, progress);
}

void perf_site_fini(struct perf_site *s)
{
    link_tls_destroy(s->tls);
    close(s->signals);
}

bool perf_site_is_stopped(const struct perf_site *s)
{
    struct pollfd p = {.fd = s->signals, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}
