// Counts calls of malloc and its kin: with glibc, definitions in the program take the place of the library's for
// every library loaded with it, and pass the work on under the library's other names.

#define _GNU_SOURCE
#include "allocation_count.h"

#if defined(__linux__)
#include <features.h>
#endif

#if defined(__GLIBC__)
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Atomic uint64_t count;

static void one_more(void) { atomic_fetch_add_explicit(&count, 1, memory_order_relaxed); }

void *malloc(size_t size) {
    one_more();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    one_more();
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    one_more();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    one_more();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    one_more();
    void *memory = __libc_memalign(alignment, size);
    if (memory == NULL) return ENOMEM;
    *result = memory;
    return 0;
}

uint64_t allocation_count(void) { return atomic_load_explicit(&count, memory_order_relaxed); }

// The runtime's own hooks would do, but crash on Swift 6.3 where a small string is retained.
static _Atomic uint64_t retains;
static void *(*runtime_retain)(void *);

__attribute__((constructor)) static void find_retain(void) {
    runtime_retain = (void *(*)(void *))dlsym(RTLD_NEXT, "swift_retain");
}

void *swift_retain(void *object) {
    if (runtime_retain == NULL) find_retain();
    atomic_fetch_add_explicit(&retains, 1, memory_order_relaxed);
    return runtime_retain(object);
}

uint64_t retain_count(void) { return atomic_load_explicit(&retains, memory_order_relaxed); }
#else
uint64_t allocation_count(void) { return 0; }
uint64_t retain_count(void) { return 0; }
#endif
