/* Moves the clocks under a program that is started with this as LD_PRELOAD: by the seconds that the file
   JUMPS holds, as two 64-bit numbers, for the wall clock and for the clock that runs on while the PC sleeps. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *jumps_s;

__attribute__((constructor)) static void map(void) {
    const char *path = getenv("JUMPS");
    int file = path ? open(path, O_RDONLY) : -1;
    void *place = file < 0 ? MAP_FAILED : mmap(NULL, 2 * sizeof *jumps_s, PROT_READ, MAP_SHARED, file, 0);
    jumps_s = place == MAP_FAILED ? NULL : place;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && jumps_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += jumps_s[0];
    if (!failed && jumps_s && clock == CLOCK_BOOTTIME)
        now->tv_sec += jumps_s[1];
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;
    int failed = clock_gettime(CLOCK_REALTIME, &precise);
    (void)zone;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept)
        *kept = now.tv_sec;
    return now.tv_sec;
}
