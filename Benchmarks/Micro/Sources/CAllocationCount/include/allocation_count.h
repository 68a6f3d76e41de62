// How many times the process has asked the allocator for memory; 0 for ever where that cannot be counted.
#pragma once

#include <stdint.h>

uint64_t allocation_count(void);
