/* SAMPLE and REPORT (broker/port/sample.h). */
#include <stdlib.h>

#include "broker/model/commands.h"
#include "broker/model/state.h"
#include "broker/port/sample.h"

void command_sample(struct broker *b, struct command *c)
{
    struct samples *s = c->samples;
    s->n = 0;
    s->is_all = true;
    s->now_ms = b->now.ms;
    broker_done(b, c, NULL)->done.samples = s;
}

void command_report(struct broker *b, struct command *c, struct outlet *o)
{
    (void)b;
    (void)o;
    free(c->report);
}
