/* CRC32C (Castagnoli), as in iSCSI and ext4: of "123456789" it is 0xe3069283.  With the processor's instruction where
 * there is one. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc, which is 0 at the beginning. */
uint32_t crc32c(uint32_t crc, const void *from, size_t n);

/* The same without it, on any machine. */
uint32_t crc32c_by_table(uint32_t crc, const void *from, size_t n);
#endif
