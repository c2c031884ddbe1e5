/* Notes what a process asks of the file system below SYNC_TRACE_DIR, in its order, in the file SYNC_TRACE:
 * "w PATH" when bytes are written, "s PATH" when a file or a directory is synced, "r FROM TO" when one is renamed,
 * "n rows" when rows of a file go to the broker. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void append(const char *what, const char *path, const char *other) {
    const char *trace = getenv("SYNC_TRACE");
    if (!trace) return;
    char line[8200];
    int length = snprintf(line, sizeof line, "%s %s%s%s\n", what, path, other ? " " : "", other ? other : "");
    int fd = syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0) return;
    if (syscall(SYS_write, fd, line, length) != length) abort();
    syscall(SYS_close, fd);
}

static void note(const char *what, const char *path, const char *other) {
    const char *dir = getenv("SYNC_TRACE_DIR");
    if (dir && strncmp(path, dir, strlen(dir)) == 0) append(what, path, other);
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

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    note_fd("w", fd);
    return syscall(SYS_pwrite64, fd, bytes, length, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite64(fd, bytes, length, at);
}

static void note_rows(const void *bytes, size_t length) {
    if (memmem(bytes, length, "PUB events.", 11)) append("n", "rows", NULL);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    note_rows(bytes, length);
    return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    for (int part = 0; part < count; part++) note_rows(parts[part].iov_base, parts[part].iov_len);
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    for (size_t part = 0; part < message->msg_iovlen; part++)
        note_rows(message->msg_iov[part].iov_base, message->msg_iov[part].iov_len);
    return syscall(SYS_sendmsg, fd, message, flags);
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
