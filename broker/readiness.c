#define _GNU_SOURCE
#include "broker/readiness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

struct readiness {
    int socket; /* owned; -1: nobody listens */
    struct sockaddr_un to;
    socklen_t to_len;
    uint64_t watchdog_ms; /* 0: no heartbeats */
    uint64_t beat_ms;     /* when the next is due */
    uint64_t told_ms;     /* when progress was last told of */
    char *addresses;      /* owned; NULL: not ready yet */
    bool is_silent;       /* a heartbeat that was due was held back */
};

/* ---- The environment. */

/* A path, or @ and a name in the abstract namespace. */
static bool read_address(struct readiness *r, const char *text)
{
    size_t len = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof r->to.sun_path)
        return false;
    r->to.sun_family = AF_UNIX;
    memcpy(r->to.sun_path, text, len + 1);
    r->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (text[0] == '@')
        r->to.sun_path[0] = '\0';
    else
        r->to_len++; /* the path's end */
    return true;
}

/* A number, or 0. */
static uint64_t read_number(const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long n = text != NULL ? strtoull(text, &end, 10) : 0;
    return end == NULL || end == text || *end != '\0' || errno != 0 ? 0 : n;
}

struct readiness *readiness_create(void)
{
    struct readiness *r = alloc_zeroed(sizeof *r);
    r->socket = -1;
    // NOLINTBEGIN(concurrency-mt-unsafe): there is no other thread yet
    const char *address = getenv("NOTIFY_SOCKET"), *pid = getenv("WATCHDOG_PID");
    if (address != NULL && read_address(r, address))
        r->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    else if (address != NULL)
        log_warning("main", "NOTIFY_SOCKET names no socket that can be written to: nobody is told when the broker is "
                            "ready");
    if (r->socket >= 0 && (pid == NULL || read_number(pid) == (uint64_t)getpid()))
        r->watchdog_ms = read_number(getenv("WATCHDOG_USEC")) / 1000;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    // NOLINTEND(concurrency-mt-unsafe)
    const struct timeval patience = {.tv_sec = READINESS_SEND_MS / 1000};
    if (r->socket >= 0)
        setsockopt(r->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return r;
}

void readiness_destroy(struct readiness *r)
{
    if (r == NULL)
        return;
    if (r->socket >= 0)
        close(r->socket);
    free(r->addresses);
    free(r);
}

/* ---- Datagrams. */

static bool readiness_send(struct readiness *r, const char *text, int flags)
{
    if (r->socket < 0)
        return false;
    for (;;) {
        if (sendto(r->socket, text, strlen(text), MSG_NOSIGNAL | flags, (const struct sockaddr *)&r->to, r->to_len) >=
            0)
            return true;
        if (errno != EINTR)
            break;
    }
    if (flags == 0)
        log_warning("main", "the service manager cannot be told how it stands: %s", strerrordesc_np(errno));
    return false;
}

/* A line's value must not begin another line. */
static void flatten(char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\n' || *text == '\r')
            *text = ' ';
}

void readiness_status(struct readiness *r, const char *format, ...)
{
    char status[READINESS_TEXT_MAX], text[READINESS_TEXT_MAX + sizeof "STATUS="];
    va_list args;
    va_start(args, format);
    vsnprintf(status, sizeof status, format, args);
    va_end(args);
    flatten(status);
    snprintf(text, sizeof text, "STATUS=%s", status);
    readiness_send(r, text, MSG_DONTWAIT);
}

void readiness_progress(struct readiness *r, const char *what, uint64_t done, uint64_t total)
{
    char text[READINESS_TEXT_MAX], of[32] = "";
    uint64_t now = clock_ms();
    if (r->socket < 0 || (r->told_ms != 0 && now < r->told_ms + READINESS_PROGRESS_MS))
        return;
    r->told_ms = now;
    if (total > 0)
        snprintf(of, sizeof of, "/%" PRIu64, total);
    snprintf(text, sizeof text, "STATUS=%s %" PRIu64 "%s\nEXTEND_TIMEOUT_USEC=%" PRIu64, what, done, of,
             UINT64_C(1000) * READINESS_EXTEND_MS);
    readiness_send(r, text, MSG_DONTWAIT);
}

/* Ready, and at work there. */
static void readiness_serve(struct readiness *r)
{
    char *text = str_format("READY=1\nSTATUS=serving %s", r->addresses);
    readiness_send(r, text, 0);
    free(text);
}

void readiness_ready(struct readiness *r, const char *addresses)
{
    free(r->addresses);
    r->addresses = str_format("%s", addresses);
    flatten(r->addresses);
    r->beat_ms = clock_ms();
    readiness_serve(r);
}

void readiness_reloading(struct readiness *r)
{
    /* The manager's clock, with which it tells this reload from the one before. */
    char *text =
        str_format("RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the configuration again", clock_us());
    readiness_send(r, text, 0);
    free(text);
}

void readiness_reloaded(struct readiness *r)
{
    if (r->addresses != NULL)
        readiness_serve(r);
}

void readiness_stopping(struct readiness *r)
{
    readiness_send(r, "STOPPING=1\nSTATUS=closing connections", 0);
}

/* ---- Heartbeats. */

uint64_t readiness_look_ms(const struct readiness *r)
{
    uint64_t ms = r->watchdog_ms / READINESS_LOOKS;
    if (r->watchdog_ms == 0)
        return 0;
    return ms > READINESS_LOOK_MS_MAX ? READINESS_LOOK_MS_MAX : ms > 0 ? ms : 1;
}

uint64_t readiness_patience_ms(const struct readiness *r)
{
    return r->watchdog_ms == 0 ? UINT64_MAX : r->watchdog_ms / READINESS_STANDSTILLS;
}

void readiness_look(struct readiness *r, bool is_alive)
{
    uint64_t now = clock_ms();
    if (r->watchdog_ms == 0 || now < r->beat_ms)
        return;
    if (!is_alive && !r->is_silent)
        log_error("main",
                  "the hub or the journal has been at a standstill for %" PRIu64
                  " ms: the service manager gets no heartbeat until they move",
                  readiness_patience_ms(r));
    r->is_silent = !is_alive;
    /* One that finds no room is tried again at the next look. */
    if (is_alive && readiness_send(r, "WATCHDOG=1", MSG_DONTWAIT))
        r->beat_ms = now + r->watchdog_ms / READINESS_BEATS;
}
