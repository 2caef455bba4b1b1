/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An ordinary program on libxenvchan: one end of a channel to a guest.
 *
 *   channel server|client <domid> <path> send|receive stream|packets|late <bytes>
 *
 * It sends `<bytes>` bytes of the `fill` stream of seed 1, or receives as many, in calls of 1 to
 * 70,000 bytes each, with sizes drawn from seed 2. With `packets` it uses send and recv, which wait
 * until they can move all of a call's bytes. It ends with a line with the number of bytes and their
 * CRC-32.
 *
 * `late` shows where the library loses data: its read checks for bytes, and then whether the peer
 * is still there. This program replaces the library's function for the second check, and lets the
 * peer act there, between the two.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libxenvchan.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGEST = 70000, RING = 131072, TRIES = 10000 };

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static uint32_t crc_of(uint32_t crc, const uint8_t *bytes, size_t len)
{
    static uint32_t table[256];
    if (table[1] == 0)
        for (uint32_t i = 0; i < 256; i++) {
            table[i] = i;
            for (int bit = 0; bit < 8; bit++)
                table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0xedb88320 : 0);
        }
    crc = ~crc;
    while (len--)
        crc = (crc >> 8) ^ table[(crc ^ *bytes++) & 0xff];
    return ~crc;
}

/* Fills in the next bytes of the stream: little-endian words. */
static void fill(uint8_t *bytes, size_t len)
{
    static uint64_t state = 1, word;
    static unsigned left;
    while (len--) {
        if (left == 0) {
            word = next(&state);
            left = 8;
        }
        *bytes++ = (uint8_t)word;
        word >>= 8;
        left--;
    }
}

static int late;

/* The library's read calls this once it has found no bytes. */
int libxenvchan_is_open(struct libxenvchan *ctrl)
{
    int (*real)(struct libxenvchan *) = dlsym(RTLD_NEXT, "libxenvchan_is_open");
    if (late) {
        late = 0;
        puts("looked");
        while (libxenvchan_data_ready(ctrl) == 0)
            usleep(1000);
        puts("came");
        while (real(ctrl) == 1)
            usleep(1000);
    }
    return real(ctrl);
}

static struct libxenvchan *client(int domid, const char *path)
{
    struct libxenvchan *ctrl = NULL;
    for (int tries = 0; ctrl == NULL && tries < TRIES; tries++) {
        ctrl = libxenvchan_client_init(NULL, domid, path);
        if (ctrl == NULL)
            usleep(1000);
    }
    return ctrl;
}

/* Lets bytes arrive after the library has checked for them and before it checks for the peer. */
static int lose(struct libxenvchan *ctrl)
{
    uint8_t bytes[64];
    late = 1;
    int got = libxenvchan_read(ctrl, bytes, sizeof bytes);
    printf("ok channel read=%d left=%d\n", got, libxenvchan_data_ready(ctrl));
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 7) {
        fprintf(stderr, "usage: channel server|client <domid> <path> send|receive "
                        "stream|packets|late <bytes>\n");
        return 2;
    }
    int domid = atoi(argv[2]), serves = !strcmp(argv[1], "server");
    struct libxenvchan *ctrl =
        serves ? libxenvchan_server_init(NULL, domid, argv[3], RING, RING) : client(domid, argv[3]);
    if (ctrl == NULL) {
        perror("no channel");
        return 1;
    }
    ctrl->blocking = 1;
    if (serves) {
        puts("ready");
        while (libxenvchan_is_open(ctrl) == 2)
            libxenvchan_wait(ctrl);
    }
    if (!strcmp(argv[5], "late"))
        return lose(ctrl);
    static uint8_t bytes[LARGEST];
    int sends = !strcmp(argv[4], "send"), packets = !strcmp(argv[5], "packets");
    uint64_t all = strtoull(argv[6], NULL, 10), done = 0, sizes = 2;
    uint32_t crc = 0;
    while (done < all) {
        size_t size = 1 + next(&sizes) % LARGEST;
        if (size > all - done)
            size = all - done;
        if (sends)
            fill(bytes, size);
        int moved;
        if (packets)
            moved = sends ? libxenvchan_send(ctrl, bytes, size) : libxenvchan_recv(ctrl, bytes, size);
        else
            moved = sends ? libxenvchan_write(ctrl, bytes, size) : libxenvchan_read(ctrl, bytes, size);
        if (moved <= 0 || (moved < (int)size && (packets || sends))) {
            fprintf(stderr, "%d of %zu bytes after %llu\n", moved, size, (unsigned long long)done);
            return 1;
        }
        crc = crc_of(crc, bytes, moved);
        done += moved;
    }
    /* Once this end closes, a peer on libxenvchan loses what it has not read, and the library has no
     * call that waits until it has. */
    while (sends && libxenvchan_is_open(ctrl) == 1 && libxenvchan_buffer_space(ctrl) < RING)
        usleep(1000);
    printf("ok channel bytes=%llu crc32=%08x\n", (unsigned long long)done, crc);
    libxenvchan_close(ctrl);
    return 0;
}
