#define _GNU_SOURCE
#include "broker/admin/chunks.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

/* A line of at most max bytes, taken out, to be freed; NULL: *state says why not.  Only a carriage return and a newline
 * end it, and it holds neither: what one program takes for the end of a line and another does not is how a request is
 * smuggled in a chunk's extension. */
static char *take_line(struct evbuffer *in, size_t max, size_t *len, enum chunks_state *state)
{
    struct evbuffer_ptr end = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_CRLF_STRICT);
    *state = CHUNKS_MORE;
    if (end.pos > (ev_ssize_t)max || (end.pos < 0 && evbuffer_get_length(in) > max + 1)) /* 1: a carriage return */
        *state = CHUNKS_BAD;
    char *line = *state == CHUNKS_MORE && end.pos >= 0 ? evbuffer_readln(in, len, EVBUFFER_EOL_CRLF_STRICT) : NULL;
    if (line == NULL || (strlen(line) == *len && strpbrk(line, "\r\n") == NULL))
        return line;
    free(line);
    *state = CHUNKS_BAD;
    return NULL;
}

/* "1f4;name=value" */
static enum chunks_state read_size(struct chunks *c, struct evbuffer *in)
{
    enum { DIGITS_MAX = 15, HEXADECIMAL = 16 };
    enum chunks_state state;
    size_t len;
    char *line = take_line(in, CHUNKS_LINE_MAX, &len, &state);
    if (line == NULL)
        return state;
    size_t digits = strspn(line, "0123456789abcdefABCDEF");
    bool is_fine = digits > 0 && digits <= DIGITS_MAX && (line[digits] == '\0' || strchr("; \t", line[digits]) != NULL);
    c->left = strtoull(line, NULL, HEXADECIMAL);
    free(line);
    if (!is_fine)
        return CHUNKS_BAD;
    c->is_in_data = c->left > 0;
    c->is_in_trailer = c->left == 0;
    return CHUNKS_END;
}

/* Nobody asks for what it says. */
static enum chunks_state read_trailer(struct chunks *c, struct evbuffer *in)
{
    enum chunks_state state;
    size_t len;
    char *line = take_line(in, CHUNKS_TRAILER_MAX, &len, &state);
    if (line == NULL)
        return state;
    free(line);
    c->trailer += (uint32_t)len;
    c->has_ended = len == 0;
    return c->trailer <= CHUNKS_TRAILER_MAX ? CHUNKS_END : CHUNKS_BAD;
}

static enum chunks_state read_data(struct chunks *c, struct evbuffer *in, struct evbuffer *to, uint64_t max)
{
    if (c->left > max || evbuffer_get_length(to) > max - c->left)
        return CHUNKS_TOO_LARGE;
    int n = evbuffer_remove_buffer(in, to, c->left);
    c->left -= n > 0 ? (uint64_t)n : 0;
    c->is_in_data = c->left > 0;
    c->is_behind_data = c->left == 0;
    return c->left > 0 ? CHUNKS_MORE : CHUNKS_END;
}

static enum chunks_state read_end_of_data(struct chunks *c, struct evbuffer *in)
{
    enum chunks_state state;
    size_t len;
    char *line = take_line(in, 0, &len, &state);
    if (line == NULL)
        return state;
    free(line);
    c->is_behind_data = false;
    return CHUNKS_END;
}

enum chunks_state chunks_read(struct chunks *c, struct evbuffer *in, struct evbuffer *to, uint64_t max)
{
    while (!c->has_ended) {
        enum chunks_state state;
        if (c->is_in_data)
            state = read_data(c, in, to, max);
        else if (c->is_behind_data)
            state = read_end_of_data(c, in);
        else if (c->is_in_trailer)
            state = read_trailer(c, in);
        else
            state = read_size(c, in);
        if (state != CHUNKS_END)
            return state;
    }
    return CHUNKS_END;
}
