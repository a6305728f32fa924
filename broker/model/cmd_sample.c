/* SAMPLE and REPORT (broker/port/sample.h). */
#include <stdlib.h>

#include "broker/model/commands.h"
#include "broker/model/state.h"
#include "broker/model/statistics.h"
#include "broker/port/sample.h"

void command_sample(struct broker *b, struct command *c)
{
    b->changed = 0;
    statistics_sample(b, c->samples);
    broker_done(b, c, NULL)->done.samples = c->samples;
}

void command_report(struct broker *b, struct command *c, struct outlet *o)
{
    (void)b;
    (void)o;
    free(c->report);
}
