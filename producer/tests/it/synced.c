/* Notes what a process asks of the file system below SYNC_TRACE_DIR, in its order, in the file SYNC_TRACE:
 * "w PATH" when bytes are written, "s PATH" when a file or a directory is synced, "r FROM TO" when one is renamed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *what, const char *path, const char *other) {
    const char *dir = getenv("SYNC_TRACE_DIR"), *trace = getenv("SYNC_TRACE");
    if (!dir || !trace || strncmp(path, dir, strlen(dir)) != 0) return;
    char line[8200];
    int length = snprintf(line, sizeof line, "%s %s%s%s\n", what, path, other ? " " : "", other ? other : "");
    int fd = syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0) return;
    if (syscall(SYS_write, fd, line, length) != length) abort();
    syscall(SYS_close, fd);
}

static void note_fd(const char *what, int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    note(what, path, NULL);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    note_fd("w", fd);
    return syscall(SYS_write, fd, bytes, length);
}

int fsync(int fd) {
    note_fd("s", fd);
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    note_fd("s", fd);
    return syscall(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to) {
    note("r", from, to);
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
