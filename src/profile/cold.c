/* SPDX-License-Identifier: Apache-2.0
 *
 * cold.c - people who are not looked at for a while, in a third of their bytes.
 *
 * Packed people are much like each other: the same segments, kinds of entries, names of facts. So
 * each is a zstd frame of its own, made with a dictionary that was trained on some of the shop's
 * own people; the frame names the dictionary and says how long it becomes. The fastest level: what
 * the slower ones gain is a twentieth, and without Huffman codes a reader is done in half the time
 * (bench/recorded.txt).
 *
 * Only RAM has these bytes: store and digest have the packed ones, so nothing follows from when
 * somebody is made cold, nor from a dictionary. One is made on a thread aside, and made again when
 * the people are eight times as many; older ones stay, since frames name them. Bits of people stand
 * in a dictionary, of somebody erased too; nobody can ask for it, and it goes with the process. */
#include <pthread.h>
#include <stdatomic.h>
#include <zdict.h>
#include <zstd.h>

#include "profile/inside.h"

enum { DICTIONARIES = 8, DICTIONARY_BYTES = 16 << 10, NUMBER_AT = 4, LEVEL = -1 };

struct dictionary { ZSTD_CDict *packs; ZSTD_DDict *unpacks; };
struct cold { _Atomic(struct dictionary *) at[DICTIONARIES]; _Atomic int n; ZSTD_CCtx *packing; };

struct cold *cold_new(void) { return mem_new(sizeof(struct cold)); }

void cold_free(struct cold *cold)
{
    for (int i = 0; i < DICTIONARIES; i++) {
        struct dictionary *d = atomic_load(&cold->at[i]);
        if (!d) continue;
        ZSTD_freeCDict(d->packs);
        ZSTD_freeDDict(d->unpacks);
        mem_free(d);
    }
    ZSTD_freeCCtx(cold->packing);
    mem_free(cold);
}

int cold_dictionaries(const struct cold *cold)
{
    return atomic_load_explicit(&cold->n, memory_order_acquire);
}

bool cold_learn(struct cold *cold, const char *samples, const size_t *sizes, isize n)
{
    int number = cold_dictionaries(cold) + 1;
    char bytes[DICTIONARY_BYTES];
    if (number > DICTIONARIES) return false;
    size_t size = ZDICT_trainFromBuffer(bytes, sizeof bytes, samples, sizes, (unsigned)n);
    if (ZDICT_isError(size)) return false;              /* too few, or nothing that they have in common */
    /* in one byte of a frame, where a random one takes four */
    store_u32le(bytes + NUMBER_AT, (u32)number);
    struct dictionary *d = mem_new(sizeof *d);
    *d = (struct dictionary){ ZSTD_createCDict(bytes, size, LEVEL), ZSTD_createDDict(bytes, size) };
    assert(d->packs && d->unpacks);
    atomic_store_explicit(&cold->at[number - 1], d, memory_order_release);
    atomic_store_explicit(&cold->n, number, memory_order_release);
    return true;
}

bool cold_pack(struct cold *cold, str bytes, struct buf *out)
{
    int n = cold_dictionaries(cold);
    assert(n > 0);
    if (!cold->packing) cold->packing = ZSTD_createCCtx();
    assert(cold->packing);
    buf_reserve(out, bytes.len);
    size_t size = ZSTD_compress_usingCDict(cold->packing, out->ptr, (size_t)bytes.len, bytes.ptr,
                                           (size_t)bytes.len, cold->at[n - 1]->packs);
    if (ZSTD_isError(size)) return false;               /* it would take more than there was */
    out->len = (isize)size;
    return true;
}

isize cold_len(str frame)
{
    unsigned long long n = ZSTD_getFrameContentSize(frame.ptr, (size_t)frame.len);
    assert(n < INT32_MAX);
    return (isize)n;
}

/* ---- reading, on any thread ------------------------------------------------------------------ */

/* A context is 95 KB: each thread makes one when it first meets somebody cold. */
static pthread_key_t context_key;
static pthread_once_t context_once = PTHREAD_ONCE_INIT;
static _Thread_local ZSTD_DCtx *context;

static void context_free(void *of_thread) { ZSTD_freeDCtx(of_thread); }
static void context_prepare(void) { (void)pthread_key_create(&context_key, context_free); }

static ZSTD_DCtx *context_of_thread(void)
{
    if (context) return context;
    (void)pthread_once(&context_once, context_prepare);
    context = ZSTD_createDCtx();
    assert(context);
    (void)pthread_setspecific(context_key, context);    /* to be given back when the thread ends */
    return context;
}

void cold_unpack(const struct cold *cold, str frame, char *to)
{
    u32 number = ZSTD_getDictID_fromFrame(frame.ptr, (size_t)frame.len);
    assert(number > 0 && number <= DICTIONARIES);
    const struct dictionary *d = atomic_load_explicit(&cold->at[number - 1], memory_order_acquire);
    isize n = cold_len(frame);
    size_t got = ZSTD_decompress_usingDDict(context_of_thread(), to, (size_t)n, frame.ptr,
                                            (size_t)frame.len, d->unpacks);
    assert(!ZSTD_isError(got) && (isize)got == n);      /* they are our own bytes */
}
