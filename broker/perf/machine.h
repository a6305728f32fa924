/* The machine that a figure was measured on: without it, a figure says nothing. */
#ifndef BROKER_PERF_MACHINE_H
#define BROKER_PERF_MACHINE_H

#include <stdint.h>
#include <stdio.h>

enum { PERF_MACHINE_ROOM = 160 };

struct perf_machine {
    char cpu[PERF_MACHINE_ROOM];    /* as it calls itself; the architecture where it has no name */
    char kernel[PERF_MACHINE_ROOM]; /* "Linux 6.1.0-13-amd64" */
    unsigned cores;                 /* that are online */
    uint64_t memory;                /* bytes */
};

void perf_machine_read(struct perf_machine *m);

/* The processor's name from the text of /proc/cpuinfo; "" if it is not there. */
void perf_machine_read_cpu(char to[PERF_MACHINE_ROOM], FILE *cpuinfo);
#endif
