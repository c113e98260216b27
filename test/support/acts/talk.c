/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets for the bpf tests: does the steps it is given, one after the other, with sockets named 0 to 15. A step that cannot be
 * done ends it with status 99. Steps:
 *   join DIR · pause · exit CODE · child STEP… (forks: the child does the rest, the parent waits) · netns (a new one, lo up)
 *   optmem BYTES                what a socket of this netns may hold beside its buffers
 *   listen S IP PORT BACKLOG    binds and listens; prints `port N`
 *   listen-any S                listens without a bind
 *   dial S IP PORT              connects; prints `connect ERRNO`. PORT 0: the port printed last
 *   dial-later S IP PORT        the same without waiting for the result
 *   accept S LISTENER · send S BYTES · receive S BYTES (exactly) · shut S (SHUT_WR) · close S · reset S (SO_LINGER 0, close)
 *   udp-listen S IP PORT · reply S HEX (to whom the next datagram comes from) · hear-late S (prints `heard N`, or -1 after 0.2 s)
 *   unix-listen S PATH · unix-dial S PATH
 *   udp S FAMILY(4|6) · udp-connect S IP PORT · say S IP PORT HEX (sendto) · hear S (prints `heard N`) · write S HEX · await S
 *   udp-parts S BYTES (what is written is datagrams of so many bytes: UDP_SEGMENT)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int sockets[16];
static int last_port;

static void need(int is_done, const char *what)
{
	if (is_done)
		return;
	fprintf(stderr, "talk: %s: %s\n", what, strerror(errno));
	_exit(99);
}

static void say(const char *what, int value)
{
	printf("%s %d\n", what, value);
	fflush(stdout);
}

static int *slot(const char *word)
{
	return &sockets[atoi(word) & 15];
}

static int endpoint(const char *ip, int port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((unsigned short)port);
		return sizeof(*v4);
	}
	need(inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1, ip);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((unsigned short)port);
	return sizeof(*v6);
}

static void join(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	need(fd >= 0 && write(fd, "0", 1) == 1, path);
	close(fd);
}

static void new_netns(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	need(unshare(CLONE_NEWNET) == 0, "unshare");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	need(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0, "lo up");
	close(fd);
}

static void limit_optmem(const char *bytes)
{
	int fd = open("/proc/sys/net/core/optmem_max", O_WRONLY | O_CLOEXEC);

	need(fd >= 0 && write(fd, bytes, strlen(bytes)) > 0, "optmem_max");
	close(fd);
}

static void listen_on(int *fd, const char *ip, int port, int backlog)
{
	struct sockaddr_storage at;
	socklen_t size = (socklen_t)endpoint(ip, port, &at);
	int one = 1;

	*fd = socket(at.ss_family, SOCK_STREAM, 0);
	need(*fd >= 0 && setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0, "socket");
	need(bind(*fd, (void *)&at, size) == 0 && listen(*fd, backlog) == 0, "listen");
	size = sizeof(at);
	need(getsockname(*fd, (void *)&at, &size) == 0, "getsockname");
	last_port = ntohs(((struct sockaddr_in *)&at)->sin_port); /* the same place in both families */
	say("port", last_port);
}

static void dial(int *fd, const char *ip, int port, int flags)
{
	struct sockaddr_storage to;
	int size = endpoint(ip, port ? port : last_port, &to);

	*fd = socket(to.ss_family, SOCK_STREAM | flags, 0);
	need(*fd >= 0, "socket");
	say("connect", connect(*fd, (void *)&to, (socklen_t)size) == 0 ? 0 : errno);
}

static void send_bytes(int fd, long left)
{
	static char chunk[65536];

	while (left > 0) {
		ssize_t count = write(fd, chunk, left < (long)sizeof(chunk) ? (size_t)left : sizeof(chunk));

		need(count > 0, "send");
		left -= count;
	}
}

static void receive_bytes(int fd, long left)
{
	static char chunk[65536];

	while (left > 0) {
		ssize_t count = read(fd, chunk, left < (long)sizeof(chunk) ? (size_t)left : sizeof(chunk));

		need(count > 0, "receive");
		left -= count;
	}
}

static size_t unhex(const char *text, unsigned char *out, size_t room)
{
	size_t count = 0;
	unsigned byte;

	for (; count < room && sscanf(text, "%2x", &byte) == 1; text += 2)
		out[count++] = (unsigned char)byte;
	return count;
}

static void say_hex(int fd, const char *ip, int port, const char *hex)
{
	unsigned char bytes[4096];
	struct sockaddr_storage to;
	size_t count = unhex(hex, bytes, sizeof(bytes));
	int size = endpoint(ip, port, &to);

	need(sendto(fd, bytes, count, 0, (void *)&to, (socklen_t)size) == (ssize_t)count, "sendto");
}

static void write_hex(int fd, const char *hex)
{
	static unsigned char bytes[65536];
	size_t count = unhex(hex, bytes, sizeof(bytes));

	need(write(fd, bytes, count) == (ssize_t)count, "write");
}

static void in_parts(int fd, int part_bytes)
{
	need(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &part_bytes, sizeof(part_bytes)) == 0, "UDP_SEGMENT");
}

static void hear(int fd)
{
	char bytes[65536];
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	need(poll(&wait, 1, 20000) == 1, "hear");
	say("heard", (int)read(fd, bytes, sizeof(bytes)));
}

static void hear_late(int fd)
{
	char bytes[65536];
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	say("heard", poll(&wait, 1, 200) == 1 ? (int)read(fd, bytes, sizeof(bytes)) : -1);
}

static void unix_socket(int *fd, const char *path, int is_server)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	*fd = socket(AF_UNIX, SOCK_STREAM, 0);
	need(*fd >= 0, "socket");
	if (is_server)
		need(bind(*fd, (void *)&at, sizeof(at)) == 0 && listen(*fd, 5) == 0, "listen");
	else
		need(connect(*fd, (void *)&at, sizeof(at)) == 0, "connect");
}

static void udp_listen(int *fd, const char *ip, int port)
{
	struct sockaddr_storage at;
	socklen_t size = (socklen_t)endpoint(ip, port, &at);

	*fd = socket(at.ss_family, SOCK_DGRAM, 0);
	need(*fd >= 0 && bind(*fd, (void *)&at, size) == 0, "bind");
}

static void reply_hex(int fd, const char *hex)
{
	unsigned char bytes[65536];
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	size_t count;

	need(poll(&wait, 1, 20000) == 1 && recvfrom(fd, bytes, sizeof(bytes), 0, (void *)&from, &size) >= 0, "reply");
	count = unhex(hex, bytes, sizeof(bytes));
	need(sendto(fd, bytes, count, 0, (void *)&from, size) == (ssize_t)count, "reply");
}

static void close_socket(int *fd, int is_reset)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	need(!is_reset || setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0, "linger");
	close(*fd);
}

static void pause_here(void)
{
	char byte;

	printf("paused\n");
	fflush(stdout);
	need(read(0, &byte, 1) == 1, "read stdin");
}

static void child_does_the_rest(void)
{
	int status;
	pid_t child = fork();

	need(child >= 0, "fork");
	if (child == 0)
		return;
	need(waitpid(child, &status, 0) == child, "wait");
	say("child", child);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
}

static int is(const char *word, const char *name)
{
	return strcmp(word, name) == 0;
}

/* Steps of one or two words; returns how many were taken, 0: none of these. */
static int run_short(char **w)
{
	if (is(w[0], "join"))
		return join(w[1]), 2;
	if (is(w[0], "pause"))
		return pause_here(), 1;
	if (is(w[0], "exit"))
		_exit(atoi(w[1]));
	if (is(w[0], "child"))
		return child_does_the_rest(), 1;
	if (is(w[0], "netns"))
		return new_netns(), 1;
	if (is(w[0], "optmem"))
		return limit_optmem(w[1]), 2;
	if (is(w[0], "listen-any"))
		return *slot(w[1]) = socket(AF_INET, SOCK_STREAM, 0), need(listen(*slot(w[1]), 5) == 0, "listen"), 2;
	if (is(w[0], "shut"))
		return need(shutdown(*slot(w[1]), SHUT_WR) == 0, "shutdown"), 2;
	if (is(w[0], "close"))
		return close_socket(slot(w[1]), 0), 2;
	if (is(w[0], "reset"))
		return close_socket(slot(w[1]), 1), 2;
	if (is(w[0], "hear"))
		return hear(*slot(w[1])), 2;
	if (is(w[0], "hear-late"))
		return hear_late(*slot(w[1])), 2;
	return 0;
}

static int run_one(char **w)
{
	int taken = run_short(w);

	if (taken)
		return taken;
	if (is(w[0], "listen"))
		return listen_on(slot(w[1]), w[2], atoi(w[3]), atoi(w[4])), 5;
	if (is(w[0], "dial"))
		return dial(slot(w[1]), w[2], atoi(w[3]), 0), 4;
	if (is(w[0], "dial-later"))
		return dial(slot(w[1]), w[2], atoi(w[3]), SOCK_NONBLOCK), 4;
	if (is(w[0], "accept"))
		return need((*slot(w[1]) = accept(*slot(w[2]), NULL, NULL)) >= 0, "accept"), 3;
	if (is(w[0], "send"))
		return send_bytes(*slot(w[1]), atol(w[2])), 3;
	if (is(w[0], "receive"))
		return receive_bytes(*slot(w[1]), atol(w[2])), 3;
	if (is(w[0], "udp"))
		return need((*slot(w[1]) = socket(is(w[2], "6") ? AF_INET6 : AF_INET, SOCK_DGRAM, 0)) >= 0, "socket"), 3;
	if (is(w[0], "udp-connect")) {
		struct sockaddr_storage to;
		int size = endpoint(w[2], atoi(w[3]), &to);

		return need(connect(*slot(w[1]), (void *)&to, (socklen_t)size) == 0, "connect"), 4;
	}
	if (is(w[0], "unix-listen"))
		return unix_socket(slot(w[1]), w[2], 1), 3;
	if (is(w[0], "unix-dial"))
		return unix_socket(slot(w[1]), w[2], 0), 3;
	if (is(w[0], "udp-listen"))
		return udp_listen(slot(w[1]), w[2], atoi(w[3])), 4;
	if (is(w[0], "reply"))
		return reply_hex(*slot(w[1]), w[2]), 3;
	if (is(w[0], "udp-parts"))
		return in_parts(*slot(w[1]), atoi(w[2])), 3;
	if (is(w[0], "say"))
		return say_hex(*slot(w[1]), w[2], atoi(w[3]), w[4]), 5;
	if (is(w[0], "write"))
		return write_hex(*slot(w[1]), w[2]), 3;
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc;) {
		int taken = run_one(argv + i);

		errno = EINVAL;
		need(taken > 0, argv[i]);
		i += taken;
	}
	return 0;
}
