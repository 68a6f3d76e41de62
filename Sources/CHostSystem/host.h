// What Swift's view of the C library leaves out: holes in files, who is at the other end of a local socket, and
// descriptors that go through one.
#ifndef EVENTSTORE_HOST_H
#define EVENTSTORE_HOST_H

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

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

// Sends bytes and with them a descriptor of this process; the number of bytes sent, or -1.
static inline ssize_t eventstore_send_descriptor(int socket, const void *bytes, size_t count, int descriptor) {
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control;
    memset(&control, 0, sizeof(control));
    struct iovec part = { (void *)bytes, count };
    struct msghdr message = { 0 };
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = sizeof(control.room);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
#if defined(MSG_NOSIGNAL)
    return sendmsg(socket, &message, MSG_NOSIGNAL);
#else
    return sendmsg(socket, &message, 0);
#endif
}

// Reads bytes as read() does. A descriptor that came with them is the caller's from now on; it is left alone if none did.
static inline ssize_t eventstore_receive(int socket, void *bytes, size_t count, int *descriptor) {
    union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control;
    struct iovec part = { bytes, count };
    struct msghdr message = { 0 };
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = sizeof(control.room);
#if defined(MSG_CMSG_CLOEXEC)
    ssize_t result = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
#else
    ssize_t result = recvmsg(socket, &message, 0);
#endif
    if (result < 0) return result;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS
        && header->cmsg_len == CMSG_LEN(sizeof(int))) {
        int found;
        memcpy(&found, CMSG_DATA(header), sizeof(int));
        if (*descriptor >= 0) close(*descriptor);
        *descriptor = found;
    }
    return result;
}

// How many files this process may have open at once; a wish for more than that is granted as far as the system allows.
static inline uint64_t eventstore_open_files(uint64_t wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
    if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
    }
    return limit.rlim_cur;
}

#endif
