/* From words to frames, and from what came back to words. */
#ifndef TALK_WIRE_H
#define TALK_WIRE_H

#include <stdio.h>

#include "tests/talk/scratch.h"
#include "tests/talk/words.h"

enum { BODY_FRAMES_MAX = 64 };

/* One method, with its content if it has one; or one frame of another type. */
struct arrival {
    struct arrival *next;
    uint8_t type;
    uint16_t channel;
    struct scratch memory; /* owned: of payload and header */
    struct bytes payload;
    bool has_content;
    bool has_header;
    struct bytes header; /* the content header's payload */
    uint64_t body_size;  /* as the header says */
    struct buffer body;
    unsigned body_frames;                 /* how many came */
    uint32_t body_frame[BODY_FRAMES_MAX]; /* the first ones' sizes */
};

void arrival_destroy(struct arrival *a);

/* All of its content is there. */
bool arrival_is_whole(const struct arrival *a);

/* The specification's name of its method, or what else it is. */
const char *arrival_name(const struct arrival *a);
uint32_t arrival_method(const struct arrival *a); /* class id << 16 | method id; 0: no method */
void arrival_print(FILE *to, const struct arrival *a);

/* What is wrong with the line, or NULL.  Adds the frames that it says to out. */
const char *wire_send(const struct words *w, uint16_t channel, uint32_t frame_max, struct buffer *out);

/* Whether a is what the line says; *differs is the name of what is not.  *error is set if the line is nonsense. */
bool wire_match(const struct words *w, struct variables *vars, const struct arrival *a, const char **differs,
                const char **error);

/* What method that is: its id, or 0. */
uint32_t wire_method(const char *name);
#endif
