// What Swift's view of the C library leaves out because it is no part of POSIX: holes in files, and who is at the other
// end of a local socket.
#ifndef EVENTSTORE_HOST_H
#define EVENTSTORE_HOST_H

#include <sys/socket.h>
#include <sys/types.h>
#include <stdint.h>

#if defined(__linux__)
extern int fallocate(int descriptor, int mode, off_t offset, off_t length);

// FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE of <linux/falloc.h>.
static inline int eventstore_punch(int descriptor, off_t offset, off_t length) {
    return fallocate(descriptor, 0x01 | 0x02, offset, length);
}

// 0 when the kernel says who the peer is.
static inline int eventstore_peer(int descriptor, uint32_t *user, int32_t *process) {
    // struct ucred: pid, uid, gid.
    struct { int32_t process; uint32_t user; uint32_t group; } found;
    socklen_t length = sizeof(found);
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &found, &length) != 0) return -1;
    *user = found.user;
    *process = found.process;
    return 0;
}
#else
#include <sys/un.h>
#include <unistd.h>

static inline int eventstore_peer(int descriptor, uint32_t *user, int32_t *process) {
    uid_t uid;
    gid_t gid;
    pid_t pid = 0;
    socklen_t length = sizeof(pid);
    if (getpeereid(descriptor, &uid, &gid) != 0) return -1;
    getsockopt(descriptor, SOL_LOCAL, LOCAL_PEERPID, &pid, &length);
    *user = uid;
    *process = pid;
    return 0;
}
#endif

#endif
