/* The two clocks, read by the runtime and passed on as arguments: nobody else asks what time it is. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds that never go back; for time-outs and TTLs. */
uint64_t clock_ms(void);

/* The same in microseconds, for measuring. */
uint64_t clock_us(void);

/* Milliseconds since 1970, for what people read and for x-death. */
uint64_t clock_wall_ms(void);
#endif
