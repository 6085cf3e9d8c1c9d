/* Runs fourtuple's system calls on the sockets of the kernel below the C library.
 *
 * One JSON object a line: requests on standard input, outcomes on standard output. The protocol is
 * docs/exec-engine.md. Every scenario begins with a network namespace of its own, which needs the
 * right to make one: run fourtuple inside `unshare -rn`, or as root.
 *
 *     cc -O2 -Wall -Wextra -o adapter adapter.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { MOST_SOCKETS = 65536, MOST_DATA = 1 << 20, LINE = 1 << 16 };

/* Results besides errnos, which are positive. */
enum { OK = 0, WAITING = -1, UNSUPPORTED = -2 };

struct sock {
    char name[64];
    int fd;
    uid_t uid;
    int nonblock;
};

static struct sock socks[MOST_SOCKETS];
static int count;
static char line[LINE], data[MOST_DATA];
/* The outcome of the request at hand. */
static char local[80], peer[80], reason[160];
static long moved;

/* The value of a field of the flat object in `line`: the text behind `"name":`, or NULL. */
static const char *field(const char *name) {
    char key[40];
    int length = snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(line, key);
    return at ? at + length : NULL;
}

static long number(const char *name, long otherwise) {
    const char *at = field(name);
    return at ? strtol(at, NULL, 10) : otherwise;
}

/* A text field without its quotes. None of the protocol's texts holds an escape. */
static const char *text(const char *name, char *to, size_t size) {
    const char *at = field(name);
    size_t length = at && *at == '"' ? strcspn(++at, "\"") : 0;
    if (length >= size)
        length = size - 1;
    if (length)
        memcpy(to, at, length);
    to[length] = 0;
    return to;
}

static int is_true(const char *name) {
    const char *at = field(name);
    return at && strncmp(at, "true", 4) == 0;
}

static int unsupported(const char *why) {
    snprintf(reason, sizeof reason, "%s", why);
    return UNSUPPORTED;
}

/* Reads `127.0.0.1:80` or `[::1]:80`; without a port where there is none. */
static socklen_t address(const char *name, struct sockaddr_storage *to) {
    char at[80];
    text(name, at, sizeof at);
    memset(to, 0, sizeof *to);
    char *colon = strrchr(at, ':');
    if (at[0] == '[' || strchr(at, ':') != colon) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
        six->sin6_family = AF_INET6;
        if (at[0] == '[') {
            six->sin6_port = htons(atoi(colon + 1));
            colon[-1] = 0;
        }
        inet_pton(AF_INET6, at + (at[0] == '['), &six->sin6_addr);
        return sizeof *six;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)to;
    four->sin_family = AF_INET;
    if (colon) {
        four->sin_port = htons(atoi(colon + 1));
        *colon = 0;
    }
    inet_pton(AF_INET, at, &four->sin_addr);
    return sizeof *four;
}

static void show(const struct sockaddr_storage *from, char *to, size_t size) {
    char ip[INET6_ADDRSTRLEN];
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
        inet_ntop(AF_INET6, &six->sin6_addr, ip, sizeof ip);
        snprintf(to, size, "[%s]:%u", ip, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)from;
        inet_ntop(AF_INET, &four->sin_addr, ip, sizeof ip);
        snprintf(to, size, "%s:%u", ip, ntohs(four->sin_port));
    }
}

static int own_name(int fd) {
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &size))
        return errno;
    show(&at, local, sizeof local);
    return OK;
}

static struct sock *find(const char *name) {
    char wanted[sizeof socks->name];
    text(name, wanted, sizeof wanted);
    for (int n = 0; n < count; n++)
        if (strcmp(socks[n].name, wanted) == 0)
            return &socks[n];
    return NULL;
}

static void forget(struct sock *sock) {
    close(sock->fd);
    *sock = socks[--count];
}

static int add(const char *name, int fd, uid_t uid, int nonblock) {
    struct sock *old = find(name);
    if (old)
        forget(old);
    if (count == MOST_SOCKETS)
        return unsupported("more than 65536 sockets");
    struct sock *sock = &socks[count++];
    text(name, sock->name, sizeof sock->name);
    sock->fd = fd;
    sock->uid = uid;
    sock->nonblock = nonblock;
    return OK;
}

/* Waits for an event as a blocking call does, for as long as the request allows. */
static int wait_for(const struct sock *sock, short events) {
    struct pollfd one = {.fd = sock->fd, .events = events};
    return poll(&one, 1, sock->nonblock ? 0 : (int)number("wait_ms", 0));
}

static int new_namespace(void) {
    while (count)
        forget(&socks[count - 1]);
    if (unshare(CLONE_NEWNET))
        return unsupported("no right to make a network namespace; run it inside `unshare -rn`");
    int control = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int result = ioctl(control, SIOCSIFFLAGS, &request) ? errno : OK;
    close(control);
    return result;
}

/* Waits until no IPv6 address is tentative: bind() refuses such a one with EADDRNOTAVAIL. Even an
 * address of lo, which nobody else can have, is tentative until a kernel thread has looked at it,
 * up to some milliseconds later. */
static int until_usable(void) {
    enum { TENTATIVE = 0x40, TRIES = 5000 };
    struct timespec millisecond = {.tv_nsec = 1000000};
    for (int try = 0; try < TRIES; try++) {
        FILE *file = fopen("/proc/thread-self/net/if_inet6", "re");
        if (!file)
            return errno;
        unsigned flags, seen = 0;
        while (fscanf(file, "%*s %*x %*x %*x %x %*s", &flags) == 1)
            seen |= flags;
        fclose(file);
        if (!(seen & TENTATIVE))
            return OK;
        nanosleep(&millisecond, NULL);
    }
    return unsupported("an IPv6 address is still tentative after 5 s");
}

static int add_address(void) {
    static int aliases;
    struct sockaddr_storage at;
    address("at", &at);
    int control = socket(at.ss_family, SOCK_DGRAM, 0), result;
    if (at.ss_family == AF_INET6) {
        struct { struct in6_addr ip; unsigned prefix; int index; } request = {
            .ip = ((struct sockaddr_in6 *)&at)->sin6_addr, .prefix = 128, .index = 1};
        result = ioctl(control, SIOCSIFADDR, &request);
    } else {
        struct ifreq request = {0};
        snprintf(request.ifr_name, IFNAMSIZ, "lo:%d", ++aliases);
        memcpy(&request.ifr_addr, &at, sizeof request.ifr_addr);
        result = ioctl(control, SIOCSIFADDR, &request);
        /* Without the mask the whole network of the address would be local. */
        ((struct sockaddr_in *)&at)->sin_addr.s_addr = INADDR_BROADCAST;
        memcpy(&request.ifr_netmask, &at, sizeof request.ifr_netmask);
        result = result ? result : ioctl(control, SIOCSIFNETMASK, &request);
    }
    int error = errno;
    close(control);
    if (result)
        return error;
    return at.ss_family == AF_INET6 ? until_usable() : OK;
}

static int set_sysctl(void) {
    char key[200], path[240], value[256];
    text("key", key, sizeof key);
    text("value", value, sizeof value);
    snprintf(path, sizeof path, "/proc/sys/%s", key);
    for (char *c = path + 10; *c; c++)
        if (*c == '.')
            *c = '/';
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int result = write(fd, value, strlen(value)) < 0 ? errno : OK;
    close(fd);
    return result;
}

static int set_option(const struct sock *sock) {
    char hex[128], name[40];
    unsigned char value[64];
    text("bytes", hex, sizeof hex);
    text("option", name, sizeof name);
    socklen_t size = strlen(hex) / 2;
    for (socklen_t n = 0; n < size; n++)
        sscanf(hex + 2 * n, "%2hhx", &value[n]);
    struct sock_fprog program = {.len = size / 8, .filter = (struct sock_filter *)value};
    int filter = strcmp(name, "attach_reuseport_cbpf") == 0 && is_true("value");
    return setsockopt(sock->fd, number("level", 0), number("number", 0),
                      filter ? (void *)&program : value, filter ? sizeof program : size)
               ? errno : OK;
}

/* The result of a connect that was under way. The second call ends the first one as a blocking call
 * ends: after a failure it also gives the port back, which SO_ERROR would not. */
static int connected(const struct sock *sock) {
    struct sockaddr_storage to;
    socklen_t size = address("to", &to);
    if (wait_for(sock, POLLOUT) == 0)
        return WAITING;
    return connect(sock->fd, (struct sockaddr *)&to, size) ? errno : own_name(sock->fd);
}

static int connect_to(const struct sock *sock) {
    struct sockaddr_storage to;
    socklen_t size = address("to", &to);
    if (connect(sock->fd, (struct sockaddr *)&to, size) == 0)
        return own_name(sock->fd);
    return errno == EINPROGRESS && !sock->nonblock ? connected(sock) : errno;
}

static int accept_one(const struct sock *sock) {
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    wait_for(sock, POLLIN);
    int fd = accept4(sock->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return errno == EAGAIN ? WAITING : errno;
    show(&from, peer, sizeof peer);
    own_name(fd);
    return add("new", fd, number("uid", sock->uid), sock->nonblock);
}

/* A datagram socket does not wait to send: EAGAIN says that there is no port for it. */
static int is_datagram(const struct sock *sock) {
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(sock->fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

static int send_to(const struct sock *sock) {
    struct sockaddr_storage to;
    socklen_t size = address("to", &to);
    long wanted = number("len", 0);
    size_t length = wanted < MOST_DATA ? wanted : MOST_DATA;
    memset(data, 0, length);
    if (sendto(sock->fd, data, length, MSG_NOSIGNAL, (struct sockaddr *)&to, size) >= 0)
        return own_name(sock->fd);
    return errno == EAGAIN && !is_datagram(sock) ? WAITING : errno;
}

static int receive_from(const struct sock *sock) {
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof from;
    long wanted = number("len", 0);
    wait_for(sock, POLLIN);
    if (recvfrom(sock->fd, data, wanted < MOST_DATA ? wanted : MOST_DATA, 0,
                 (struct sockaddr *)&from, &size) < 0)
        return errno == EAGAIN ? WAITING : errno;
    if (from.ss_family != AF_UNSPEC)
        show(&from, peer, sizeof peer);
    return OK;
}

static int transfer(const struct sock *sock, int out) {
    long wanted = number("len", 0);
    size_t size = wanted < MOST_DATA ? wanted : MOST_DATA;
    wait_for(sock, out ? POLLOUT : POLLIN);
    moved = out ? send(sock->fd, memset(data, 0, size), size, MSG_NOSIGNAL)
                : recv(sock->fd, data, size, 0);
    if (moved >= 0)
        return OK;
    return errno == EAGAIN && !(out && is_datagram(sock)) ? WAITING : errno;
}

static int shut(const struct sock *sock) {
    char how[16];
    text("how", how, sizeof how);
    return shutdown(sock->fd, how[0] == 'r' ? SHUT_RD : how[0] == 'w' ? SHUT_WR : SHUT_RDWR)
               ? errno : OK;
}

static int on_socket(const char *op, struct sock *sock) {
    struct sockaddr_storage at;
    if (strcmp(op, "set") == 0)
        return set_option(sock);
    if (strcmp(op, "bind") == 0) {
        socklen_t size = address("at", &at);
        return bind(sock->fd, (struct sockaddr *)&at, size) ? errno : own_name(sock->fd);
    }
    if (strcmp(op, "listen") == 0)
        return listen(sock->fd, number("backlog", 128)) ? errno : own_name(sock->fd);
    if (strcmp(op, "connect") == 0)
        return connect_to(sock);
    if (strcmp(op, "poll") == 0)
        return connected(sock);
    if (strcmp(op, "accept") == 0)
        return accept_one(sock);
    if (strcmp(op, "send") == 0 || strcmp(op, "recv") == 0)
        return transfer(sock, op[0] == 's');
    if (strcmp(op, "sendto") == 0)
        return send_to(sock);
    if (strcmp(op, "recvfrom") == 0)
        return receive_from(sock);
    if (strcmp(op, "shutdown") == 0)
        return shut(sock);
    if (strcmp(op, "disconnect") == 0) {
        struct sockaddr none = {.sa_family = AF_UNSPEC};
        return connect(sock->fd, &none, sizeof none) ? errno : OK;
    }
    if (strcmp(op, "close") == 0) {
        forget(sock);
        return OK;
    }
    if (strcmp(op, "getsockname") == 0)
        return own_name(sock->fd);
    if (strcmp(op, "getpeername") == 0) {
        socklen_t size = sizeof at;
        if (getpeername(sock->fd, (struct sockaddr *)&at, &size))
            return errno;
        show(&at, peer, sizeof peer);
        return OK;
    }
    return unsupported("unknown operation");
}

static int new_socket(uid_t uid) {
    char family[16], kind[16];
    text("family", family, sizeof family);
    text("kind", kind, sizeof kind);
    int type = strcmp(kind, "datagram") == 0 ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(strcmp(family, "inet6") == 0 ? AF_INET6 : AF_INET,
                    type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : add("sock", fd, uid, is_true("nonblock"));
}

static int execute(const char *op) {
    if (strcmp(op, "ns") == 0)
        return new_namespace();
    if (strcmp(op, "addr") == 0)
        return add_address();
    if (strcmp(op, "sysctl") == 0)
        return set_sysctl();
    if (strcmp(op, "sleep") == 0)
        return usleep(1000 * number("ms", 0)) ? errno : OK;
    /* What is left is done as the socket's owner. */
    int makes = strcmp(op, "socket") == 0, accepts = strcmp(op, "accept") == 0;
    struct sock *sock = makes ? NULL : find("sock");
    if (!makes && !sock)
        return EBADF;
    uid_t uid = makes || accepts ? number("uid", sock ? sock->uid : 0) : sock->uid;
    if (uid && seteuid(uid))
        return unsupported("the user does not exist here");
    int result = makes ? new_socket(uid) : on_socket(op, sock);
    if (uid && seteuid(0))
        exit(1);
    return result;
}

static void answer(int result) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("{\"n\":%ld,\"at_us\":%lld", number("n", 0),
           now.tv_sec * 1000000LL + now.tv_nsec / 1000);
    if (result == UNSUPPORTED)
        printf(",\"result\":\"UNSUPPORTED\",\"reason\":\"%s\"", reason);
    else if (result)
        printf(",\"result\":\"%s\"", result == WAITING ? "WAITING" : strerrorname_np(result));
    else
        printf(",\"result\":\"ok\"");
    if (result == OK && local[0])
        printf(",\"local\":\"%s\"", local);
    if (result == OK && peer[0])
        printf(",\"peer\":\"%s\"", peer);
    if (result == OK && moved >= 0)
        printf(",\"moved\":%ld", moved);
    puts("}");
    fflush(stdout);
}

int main(void) {
    struct utsname system;
    uname(&system);
    printf("{\"fourtuple\":\"exec\",\"version\":1,\"name\":\"C\",\"kernel\":\"%s\",\"clock\":\"real\"}\n",
           system.release);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        char op[32];
        local[0] = peer[0] = reason[0] = 0;
        moved = -1;
        answer(execute(text("op", op, sizeof op)));
    }
    return 0;
}
