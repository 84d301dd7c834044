/* Writes down every call that changes a file below a directory, with what it wrote, in the order of the calls.
 *
 *     cc -shared -fPIC -o recording_io.so recording_io.c -ldl;  LD_PRELOAD=.../recording_io.so python ...
 *     record(directory, log) from ctypes begins;  mark(n) writes a mark among the calls.
 *
 * Each entry is a line "kind offset length path" and, for a write, the bytes themselves.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char below[4096];
static int out = -1;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void note(const char *kind, long offset, long length, const char *path, const void *from)
{
    char line[4400];
    int n = snprintf(line, sizeof line, "%s %ld %ld %s\n", kind, offset, length, path);
    pthread_mutex_lock(&one_at_a_time);
    if (REAL(write)(out, line, n) != n || (from && REAL(write)(out, from, length) != length))
        _exit(99);
    pthread_mutex_unlock(&one_at_a_time);
}

void record(const char *directory, const char *log)
{
    out = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    strncpy(below, directory, sizeof below - 1);
}

void mark(int n) { note("mark", n, 0, "-", 0); }

static int is_below(const char *path) { return below[0] && strncmp(path, below, strlen(below)) == 0; }

static int path_of(int fd, char *path)
{
    char link[64];
    if (!below[0] || fd == out)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 4095);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_below(path);
}

static ssize_t written(int fd, const void *from, ssize_t n, off_t to)
{
    char path[4096];
    if (n > 0 && path_of(fd, path))
        note("write", to, n, path, from);
    return n;
}

static int changed(const char *kind, int fd, long length, int result)
{
    char path[4096];
    if (result == 0 && path_of(fd, path))
        note(kind, 0, length, path, 0);
    return result;
}

ssize_t write(int fd, const void *from, size_t n)
{
    off_t to = lseek(fd, 0, SEEK_CUR);
    return written(fd, from, REAL(write)(fd, from, n), to);
}
ssize_t pwrite(int fd, const void *from, size_t n, off_t to) { return written(fd, from, REAL(pwrite)(fd, from, n, to), to); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t to) { return written(fd, from, REAL(pwrite64)(fd, from, n, to), to); }
int fsync(int fd) { return changed("sync", fd, 0, REAL(fsync)(fd)); }
int fdatasync(int fd) { return changed("sync", fd, 0, REAL(fdatasync)(fd)); }
int ftruncate(int fd, off_t n) { return changed("cut", fd, n, REAL(ftruncate)(fd, n)); }
int ftruncate64(int fd, off64_t n) { return changed("cut", fd, n, REAL(ftruncate64)(fd, n)); }
int unlink(const char *path)
{
    int result = REAL(unlink)(path);
    if (result == 0 && is_below(path))
        note("unlink", 0, 0, path, 0);
    return result;
}

static int opened(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    int is_new = (flags & O_CREAT) && is_below(path) && access(path, F_OK) != 0;
    int fd = real(path, flags, mode);
    if (fd >= 0 && is_new)
        note("create", 0, 0, path, 0);
    return fd;
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
