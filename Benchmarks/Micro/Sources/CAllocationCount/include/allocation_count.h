// How many times the process has asked the allocator for memory; 0 for ever where that cannot be counted.
#pragma once

#include <stdint.h>

uint64_t allocation_count(void);

// How many times code of this program has retained an object of Swift's runtime.
uint64_t retain_count(void);
