// SPDX-License-Identifier: Apache-2.0
// Does acts that the agent watches, and times them where they happen. Compiled static when a case starts (producer.ts).
//
//   producer COMMAND ARGUMENT…    does one command, prints its answer, ends
//   producer serve                the same for each line of standard input
//
//   exec N           N times fork, execve("/bench/true" or beside this program), waitpid  -> total ns
//   connect N PORT   N times TCP socket, connect to 127.0.0.1:PORT, close                 -> total ns
//   getppid N        N system calls that do nothing                                       -> total ns
//   listen           accepts and resets connections in a child for as long as this lives  -> port
//   mix N C          N times: one fork+exec, then C connects to a closed port             -> total ns
//   kill N ACT PATH US   N times: fork, and an act of the child that it must be killed for (exec or open of PATH, or call: one of
//                    getpriority); US between                                                -> N latencies in ns, act to waitpid
//   live N ACT PATH US   the same, where nobody kills and the child ends well at once
//   spin S           computes for S seconds                                               -> 0
//   opens N E P Q    N times open (read) and close P, but Q each E-th time                -> total ns, opens of Q
//   paced R S P      for S seconds, R times a second open (read) and close P              -> total ns, opens done
//   build N P D      N times fork, exec of the compiler on the C file P, output in D      -> total ns
//   act NAME N D     N times what the name says (acts[]), in the directory D              -> total ns
//   stats on|off     the kernel sums up run times of BPF programs, as long as this lives  -> 0
// A command that fails prints `error TEXT`.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLOSED_PORT 9 /* discard: nothing listens there in a container of ours */

#define NEVER_KILLED_S 10

static char true_path[4096];

static long long now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int fail(const char *what)
{
	printf("error %s: %s\n", what, strerror(errno));
	return 1;
}

static int run_program(const char *path, char *const *arguments, char *const *environment)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execve(path, arguments, environment);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	errno = ENOEXEC;
	return status == 0 ? 0 : -1;
}

static int run_true(void)
{
	static char *const arguments[] = {"true", NULL};
	static char *const environment[] = {NULL};

	return run_program(true_path, arguments, environment);
}

static int do_exec(long count)
{
	long long start = now_ns();

	for (long i = 0; i < count; i++)
		if (run_true() != 0)
			return fail("exec");
	printf("%lld\n", now_ns() - start);
	return 0;
}

/* The linger makes close() reset the connection: no port stays in TIME_WAIT. */
static int connect_once(int port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linger reset = {.l_onoff = 1};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	result = connect(fd, (struct sockaddr *)&to, sizeof(to));
	close(fd);
	return result == 0 || errno == ECONNREFUSED ? 0 : -1;
}

static int do_connect(long count, int port)
{
	long long start = now_ns();

	for (long i = 0; i < count; i++)
		if (connect_once(port) != 0)
			return fail("connect");
	printf("%lld\n", now_ns() - start);
	return 0;
}

static int do_getppid(long count)
{
	long long start = now_ns();

	for (long i = 0; i < count; i++)
		syscall(SYS_getppid);
	printf("%lld\n", now_ns() - start);
	return 0;
}

static int do_listen(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1024) ||
	    getsockname(fd, (struct sockaddr *)&at, &length))
		return fail("listen");
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			close(accept(fd, NULL, NULL));
	}
	close(fd);
	printf("%d\n", ntohs(at.sin_port));
	return 0;
}

static int do_mix(long count, long connects)
{
	long long start = now_ns();

	for (long i = 0; i < count; i++) {
		if (run_true() != 0)
			return fail("exec");
		for (long j = 0; j < connects; j++)
			if (connect_once(CLOSED_PORT) != 0)
				return fail("connect");
	}
	printf("%lld\n", now_ns() - start);
	return 0;
}

/* Where nobody kills it ends at once; else it waits for that. */
static void act_in_child(const char *act, char *path, int is_killed)
{
	char *const arguments[] = {path, NULL};
	char *const environment[] = {NULL};

	if (!strcmp(act, "exec"))
		execve(path, arguments, environment);
	else if (!strcmp(act, "open"))
		open(path, O_RDONLY | O_CLOEXEC);
	else
		syscall(is_killed ? SYS_getpriority : SYS_getpgid, 0, 0);
	if (is_killed)
		sleep(NEVER_KILLED_S);
	_exit(strcmp(act, "exec") && !is_killed ? 0 : 127);
}

static int do_kill(long count, const char *act, char *path, long pause_us, int is_killed)
{
	long long *start = mmap(NULL, sizeof(*start), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long long *latencies = calloc(count > 0 ? count : 1, sizeof(*latencies));

	if (start == MAP_FAILED || !latencies)
		return fail("memory");
	for (long i = 0; i < count; i++) {
		pid_t pid = fork();
		long long end;
		int status;

		if (pid == 0) {
			*start = now_ns();
			act_in_child(act, path, is_killed);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return fail("fork");
		end = now_ns();
		if (status != (is_killed ? SIGKILL : 0)) {
			printf("error %s of %s ended with status %d\n", act, path, status);
			return 1;
		}
		latencies[i] = end - *start;
		usleep(pause_us);
	}
	for (long i = 0; i < count; i++)
		printf("%lld%c", latencies[i], i + 1 < count ? ' ' : '\n');
	free(latencies);
	munmap(start, sizeof(*start));
	return 0;
}

static int do_spin(long seconds)
{
	long long end = now_ns() + seconds * 1000000000LL;

	while (now_ns() < end)
		;
	printf("0\n");
	return 0;
}

static int do_opens(long count, long every, const char *plain, const char *sensitive)
{
	long long start = now_ns();
	long sensitive_count = 0;

	if (every < 1)
		return fail("opens");
	for (long i = 1; i <= count; i++) {
		int is_sensitive = i % every == 0;
		int fd = open(is_sensitive ? sensitive : plain, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return fail(is_sensitive ? sensitive : plain);
		close(fd);
		sensitive_count += is_sensitive;
	}
	printf("%lld %ld\n", now_ns() - start, sensitive_count);
	return 0;
}

/* A millisecond's share at a time; what is late is made up for, so that the count is exact. */
static int do_paced(long rate, long seconds, const char *path)
{
	long long start = now_ns(), end = start + seconds * 1000000000LL, at;
	long done = 0;

	for (at = start + 1000000; at <= end; at += 1000000) {
		long due = (at - start) / 1000 * rate / 1000000;
		struct timespec until = {at / 1000000000LL, at % 1000000000LL};

		for (; done < due; done++) {
			int fd = open(path, O_RDONLY | O_CLOEXEC);

			if (fd < 0)
				return fail(path);
			close(fd);
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	}
	printf("%lld %ld\n", now_ns() - start, done);
	return 0;
}

static int do_build(long count, char *source, const char *directory)
{
	static char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
	char output[4096];
	char *arguments[] = {"gcc", "-O1", "-c", "-o", output, source, NULL};
	long long start = now_ns();

	snprintf(output, sizeof(output), "%s/built.o", directory);
	for (long i = 0; i < count; i++)
		if (run_program("/usr/bin/gcc", arguments, environment) != 0)
			return fail("gcc");
	printf("%lld\n", now_ns() - start);
	return 0;
}

static int act_open_read(void)
{
	int fd = open("made", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : close(fd);
}

static int act_open_write(void)
{
	int fd = open("made", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : close(fd);
}

static int act_open_failed(void)
{
	return open("missing", O_RDONLY | O_CLOEXEC) < 0 ? 0 : -1;
}

static int act_mkdir_rmdir(void)
{
	return mkdir("folder", 0700) || rmdir("folder") ? -1 : 0;
}

static int act_rename(void)
{
	return rename("made", "renamed") || rename("renamed", "made") ? -1 : 0;
}

static int act_chmod(void)
{
	return chmod("made", 0600);
}

static int act_link_unlink(void)
{
	return link("made", "linked") || unlink("linked") ? -1 : 0;
}

/* Each to another port, so that none is a repeat of one that was reported a moment ago. */
static int act_udp_send(void)
{
	static unsigned short port;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	if (fd < 0)
		return -1;
	to.sin_port = htons(20000 + port++ % 20000);
	result = sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof(to));
	close(fd);
	return result == 1 || errno == ECONNREFUSED ? 0 : -1;
}

static int act_listen(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

	if (fd < 0)
		return -1;
	result = bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1) ? -1 : 0;
	close(fd);
	return result;
}

static int act_connect(void)
{
	return connect_once(CLOSED_PORT);
}

static int act_getppid(void)
{
	return syscall(SYS_getppid) < 0 ? -1 : 0;
}

static const struct {
	const char *name;
	int (*once)(void);
} acts[] = {
	{"fork_exec_exit", run_true},
	{"open_read", act_open_read},
	{"open_write", act_open_write},
	{"open_failed", act_open_failed},
	{"mkdir_rmdir", act_mkdir_rmdir},
	{"rename", act_rename},
	{"chmod", act_chmod},
	{"link_unlink", act_link_unlink},
	{"connect", act_connect},
	{"udp_send", act_udp_send},
	{"listen", act_listen},
	{"getppid", act_getppid},
};

static int do_act(const char *name, long count, const char *directory)
{
	int made = chdir(directory) ? -1 : open("made", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	long long start;

	if (made < 0)
		return fail(directory);
	close(made);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (strcmp(acts[i].name, name))
			continue;
		start = now_ns();
		for (long j = 0; j < count; j++)
			if (acts[i].once() != 0)
				return fail(name);
		printf("%lld\n", now_ns() - start);
		return 0;
	}
	printf("error no act %s\n", name);
	return 2;
}

/* The descriptor holds the statistics on: other holders of them are not disturbed, and nothing is left on when this ends. */
static int do_stats(int is_on)
{
	static int held = -1;
	union bpf_attr attributes = {.enable_stats.type = BPF_STATS_RUN_TIME};

	if (held >= 0)
		close(held);
	held = is_on ? (int)syscall(SYS_bpf, BPF_ENABLE_STATS, &attributes, sizeof(attributes)) : -1;
	if (is_on && held < 0)
		return fail("BPF_ENABLE_STATS");
	printf("0\n");
	return 0;
}

static int do_command(int count, char **words)
{
	long first = count > 1 ? atol(words[1]) : 0;

	if (count == 2 && !strcmp(words[0], "exec"))
		return do_exec(first);
	if (count == 3 && !strcmp(words[0], "connect"))
		return do_connect(first, atoi(words[2]));
	if (count == 2 && !strcmp(words[0], "getppid"))
		return do_getppid(first);
	if (count == 1 && !strcmp(words[0], "listen"))
		return do_listen();
	if (count == 3 && !strcmp(words[0], "mix"))
		return do_mix(first, atol(words[2]));
	if (count == 5 && (!strcmp(words[0], "kill") || !strcmp(words[0], "live")))
		return do_kill(first, words[2], words[3], atol(words[4]), words[0][0] == 'k');
	if (count == 2 && !strcmp(words[0], "spin"))
		return do_spin(first);
	if (count == 5 && !strcmp(words[0], "opens"))
		return do_opens(first, atol(words[2]), words[3], words[4]);
	if (count == 4 && !strcmp(words[0], "paced"))
		return do_paced(first, atol(words[2]), words[3]);
	if (count == 4 && !strcmp(words[0], "build"))
		return do_build(first, words[2], words[3]);
	if (count == 2 && !strcmp(words[0], "stats"))
		return do_stats(!strcmp(words[1], "on"));
	if (count == 4 && !strcmp(words[0], "act"))
		return do_act(words[1], atol(words[2]), words[3]);
	printf("error unknown command\n");
	return 2;
}

static int serve(void)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		char *words[8], *rest = line;
		int count = 0;

		while (count < 8 && (words[count] = strtok_r(rest, " \n", &rest)))
			count++;
		do_command(count, words);
		fflush(stdout);
	}
	return 0;
}

int main(int count, char **arguments)
{
	char *slash;

	if (readlink("/proc/self/exe", true_path, sizeof(true_path) - 8) < 0)
		return fail("/proc/self/exe");
	slash = strrchr(true_path, '/');
	strcpy(slash + 1, "true");
	if (count == 2 && !strcmp(arguments[1], "serve"))
		return serve();
	return do_command(count - 1, arguments + 1);
}
