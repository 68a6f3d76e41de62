// Linux's way to give a part of a file back, which Swift's view of the C library leaves out (it is a GNU extension).
#ifndef EVENTSTORE_HOLES_H
#define EVENTSTORE_HOLES_H

#if defined(__linux__)
#include <sys/types.h>

extern int fallocate(int descriptor, int mode, off_t offset, off_t length);

// FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE of <linux/falloc.h>.
static inline int eventstore_punch(int descriptor, off_t offset, off_t length) {
    return fallocate(descriptor, 0x01 | 0x02, offset, length);
}
#endif

#endif
