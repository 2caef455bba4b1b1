/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a channel costs an ordinary program on libxenvchan, in instructions of the whole machine.
 *
 *   trips server|client <domid> <path> <round trips> <MiB of a stream>
 *
 * Its protocol is that of lab/trials/src/bench/between.rs, which may be its peer. The client
 * measures, and prints one line per row: `linux op=vchan-trip n=1 calls=5 instr=39870.000`.
 */
#include <libxenvchan.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

enum { RING = 65536, TRIES = 10000, RUNS = 5, MIB = 1 << 20 };

static struct libxenvchan *ctrl;
static int measures;
static uint8_t bytes[RING];

static void fail(const char *what)
{
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static void tell(const void *from, size_t len)
{
    if (libxenvchan_send(ctrl, from, len) != (int)len)
        fail("send");
}

static void hear(void *to, size_t len)
{
    if (libxenvchan_recv(ctrl, to, len) != (int)len)
        fail("recv");
}

/* A byte there and one back. */
static void meet(void)
{
    uint8_t byte = 0;
    if (measures) {
        tell(&byte, 1);
        hear(&byte, 1);
    } else {
        hear(&byte, 1);
        tell(&byte, 1);
    }
}

/* A stream one way, and a byte back at its end. */
static void move(size_t size, size_t all)
{
    uint8_t byte = 0;
    if (measures) {
        for (size_t done = 0; done < all; done += size)
            if (libxenvchan_write(ctrl, bytes, size) != (int)size)
                fail("write");
        hear(&byte, 1);
        return;
    }
    while (all > 0) {
        int len = libxenvchan_read(ctrl, bytes, all < RING ? all : RING);
        if (len <= 0)
            fail("read");
        all -= len;
    }
    tell(&byte, 1);
}

/* The time stamp counter, once everything before it is done. */
static uint64_t ticks(void)
{
    _mm_lfence();
    return __rdtsc();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *op;
        size_t size;
    } works[] = {
        { "vchan-trip", 0 },
        { "vchan-stream-64", 64 },
        { "vchan-stream-4096", 4096 },
        { "vchan-stream-65536", 65536 },
    };
    enum { WORKS = sizeof works / sizeof works[0] };

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 6) {
        fprintf(stderr, "usage: trips server|client <domid> <path> <round trips> <MiB>\n");
        return 2;
    }
    int domid = atoi(argv[2]);
    unsigned trips = strtoul(argv[4], NULL, 10), mib = strtoul(argv[5], NULL, 10);
    measures = !strcmp(argv[1], "client");
    if (!measures)
        ctrl = libxenvchan_server_init(NULL, domid, argv[3], RING, RING);
    for (int tries = 0; measures && ctrl == NULL && tries < TRIES; tries++) {
        ctrl = libxenvchan_client_init(NULL, domid, argv[3]);
        if (ctrl == NULL)
            usleep(1000);
    }
    if (ctrl == NULL)
        fail("the channel");
    ctrl->blocking = 1;
    if (!measures)
        puts("ready");
    while (libxenvchan_is_open(ctrl) == 2)
        libxenvchan_wait(ctrl);
    for (int work = 0; work < WORKS; work++) {
        uint64_t least = UINT64_MAX;
        for (int run = 0; run <= RUNS; run++) {
            /* Two numbers that a guest counts; Linux doesn't tell. */
            uint64_t none[2] = { 0, 0 };
            meet();
            uint64_t start = ticks();
            if (works[work].size > 0)
                move(works[work].size, (size_t)mib * MIB);
            else
                for (unsigned trip = 0; trip < trips; trip++)
                    meet();
            uint64_t took = ticks() - start;
            if (measures)
                hear(none, sizeof none);
            else
                tell(none, sizeof none);
            /* The first run is to warm up. */
            if (run > 0 && took < least)
                least = took;
        }
        if (measures)
            printf("linux op=%s n=%d calls=%d instr=%.3f\n", works[work].op,
                   works[work].size > 0 ? MIB : 1, RUNS,
                   works[work].size > 0 ? (double)least / mib / MIB : (double)least / trips);
    }
    printf("ok linux rows=%d\n", measures ? WORKS : 0);
    /* The library has no call that waits until the peer has read everything. */
    while (libxenvchan_is_open(ctrl) == 1 && libxenvchan_buffer_space(ctrl) < RING)
        usleep(1000);
    libxenvchan_close(ctrl);
    return 0;
}
