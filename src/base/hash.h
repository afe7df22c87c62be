/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashing for tables that a file fills: each has a seed of its own, so that no file can be made to
 * fill one corner of a table.  Multiply and fold are wyhash's (public domain, Wang Yi). */
#ifndef PLIM_BASE_HASH_H
#define PLIM_BASE_HASH_H

#include <stdint.h>

#include "base/file.h"

#define PLIM_HASH_K1 0xe7037ed1a0b428dbu
#define PLIM_HASH_K2 0x8ebc6af09c88c6e3u

static inline uint64_t plim_fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t x = (a ^ (b << 32 | b >> 32)) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x = (x + b) * 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
#endif
}

/* For a table that lies at (or belongs to) `address`: not a secret, only nothing that a file can
 * know. */
static inline uint64_t plim_hash_seed(const void *address)
{
    return ((uint64_t)(uintptr_t)address ^ (uint64_t)(plim_now() * 1e9)) * 0x9e3779b97f4a7c15u;
}

#endif
