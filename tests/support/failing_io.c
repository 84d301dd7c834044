/* Fails the n-th call that changes a file below a directory, or the n-th that reads one: once, or for ever on.
 *
 *     cc -shared -fPIC -o failing_io.so failing_io.c -ldl;  LD_PRELOAD=.../failing_io.so python ...
 *     arm(directory, n, errno, forever, reads) from ctypes;  fired() tells whether it came to that. n = 0 only counts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char below[4096];
static atomic_int calls, at, code, always, reading, has_fired;

void arm(const char *directory, int n, int error, int forever, int reads)
{
    strncpy(below, directory, sizeof below - 1);
    calls = 0;
    has_fired = 0;
    code = error;
    always = forever;
    reading = reads;
    at = n;
}

int fired(void) { return has_fired; }
int counted(void) { return calls; }

static int refuse_either(const char *path)
{
    if (!below[0] || strncmp(path, below, strlen(below)) != 0)
        return 0;
    int n = ++calls;
    if (at && (n == at || (always && n > at))) {
        has_fired = 1;
        errno = code;
        return 1;
    }
    return 0;
}

static int refuse_path(const char *path) { return !reading && refuse_either(path); }

static int refuse_fd(int fd)
{
    char link[64], path[4096];
    if (!below[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return refuse_either(path);
}

static int refuse(int fd) { return !reading && refuse_fd(fd); }
static int refuse_read(int fd) { return reading && refuse_fd(fd); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int fd, void *into, size_t n) { return refuse_read(fd) ? -1 : REAL(read)(fd, into, n); }
ssize_t pread(int fd, void *into, size_t n, off_t from) { return refuse_read(fd) ? -1 : REAL(pread)(fd, into, n, from); }
ssize_t pread64(int fd, void *into, size_t n, off64_t from) { return refuse_read(fd) ? -1 : REAL(pread64)(fd, into, n, from); }
ssize_t write(int fd, const void *from, size_t n) { return refuse(fd) ? -1 : REAL(write)(fd, from, n); }
ssize_t pwrite(int fd, const void *from, size_t n, off_t to) { return refuse(fd) ? -1 : REAL(pwrite)(fd, from, n, to); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t to) { return refuse(fd) ? -1 : REAL(pwrite64)(fd, from, n, to); }
int fsync(int fd) { return refuse(fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return refuse(fd) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t n) { return refuse(fd) ? -1 : REAL(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n) { return refuse(fd) ? -1 : REAL(ftruncate64)(fd, n); }
int posix_fallocate(int fd, off_t from, off_t n) { return refuse(fd) ? errno : REAL(posix_fallocate)(fd, from, n); }
int posix_fallocate64(int fd, off64_t from, off64_t n) { return refuse(fd) ? errno : REAL(posix_fallocate64)(fd, from, n); }
int unlink(const char *path) { return refuse_path(path) ? -1 : REAL(unlink)(path); }

static int opened(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    return (flags & O_CREAT) && refuse_path(path) ? -1 : real(path, flags, mode);
}

#define OPENS(name)                                                     \
    int name(const char *path, int flags, ...)                          \
    {                                                                   \
        mode_t mode = 0;                                                \
        if (flags & O_CREAT) {                                          \
            va_list rest;                                               \
            va_start(rest, flags);                                      \
            mode = va_arg(rest, mode_t);                                \
            va_end(rest);                                               \
        }                                                               \
        return opened(#name, path, flags, mode);                        \
    }
OPENS(open)
OPENS(open64)
