// SPDX-License-Identifier: Apache-2.0
/*
 * Does what its arguments say, in order, and nothing else: the acts that the bpf tests observe. Compiled by the tests with
 * `gcc -static` (test/support/sensor-acts.ts). In every word `%xx` stands for one byte. A step that fails ends it with 99.
 *
 *   join DIR | mntns | cd DIR | chroot DIR | pause | fork CODE | forks COUNT | repeat COUNT STEP…
 *   exit CODE | die SIGNAL | threads COUNT CODE | last-thread LEADER-CODE CODE
 *   connect IP PORT | udp-connect IP PORT | send IP PORT COUNT | thread-connect IP PORT
 *   setuid UID | userns | clone-userns CODE | enter PATH (of a user namespace)
 *   seccomp NR ERRNO (0: the call ends the process)
 *   reboot (of a PID namespace of its own) | syscall NR | int80 NR | alloc MIB | spawn STEP… (a child does the rest, this one waits)
 *   exec PATH ARGV0 ARG… | thread-exec PATH ARGV0 ARG… | memfd-exec FILE ARGV0 ARG… | fill-exec PATH COUNT BYTES
 *   clone-into DIR PATH ARGV0 ARG…
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void fail(const char *what)
{
	fprintf(stderr, "act: %s: %s\n", what, strerror(errno));
	_exit(99);
}

static void need(int is_done, const char *what)
{
	if (!is_done)
		fail(what);
}

static int hex(char digit)
{
	return digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}

static void decode(char *word)
{
	char *out = word;

	for (; *word; word++) {
		if (*word == '%' && word[1] && word[2]) {
			*out++ = (char)(hex(word[1]) << 4 | hex(word[2]));
			word += 2;
		} else {
			*out++ = *word;
		}
	}
	*out = 0;
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

static void wait_for_byte(void)
{
	char byte;

	printf("paused\n");
	fflush(stdout);
	need(read(0, &byte, 1) == 1, "read stdin");
}

/* The child's status as this process' own, so that a test reads it from its own child. */
static void end_as(pid_t child)
{
	int status;

	need(child > 0 && waitpid(child, &status, 0) == child, "wait");
	if (WIFSIGNALED(status)) {
		printf("child signal %d\n", WTERMSIG(status));
		fflush(stdout);
		return;
	}
	printf("child exit %d\n", WEXITSTATUS(status));
	fflush(stdout);
}

static void fork_once(int code)
{
	pid_t child = fork();

	need(child >= 0, "fork");
	if (child == 0)
		_exit(code);
	need(waitpid(child, NULL, 0) == child, "wait");
}

static void refuse_call(int nr, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, error ? SECCOMP_RET_ERRNO | error : SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
	need(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

/* The child is the first process of a PID namespace: a reboot there ends that namespace and nothing else. */
static void reboot_pid_namespace(void)
{
	struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
	pid_t child = syscall(SYS_clone3, &args, sizeof(args));

	need(child >= 0, "clone3");
	if (child == 0) {
		if (getpid() != 1)
			_exit(98);
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART, 0);
		_exit(97);
	}
	printf("child %d\n", child);
	need(waitpid(child, NULL, 0) == child, "waitpid");
}

/* The child is in a user namespace of its own from its first moment on. */
static void clone_userns(int code)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	pid_t child = syscall(SYS_clone3, &args, sizeof(args));

	need(child >= 0, "clone3");
	if (child == 0)
		_exit(code);
	need(waitpid(child, NULL, 0) == child, "wait");
}

static void enter_userns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	need(fd >= 0 && setns(fd, CLONE_NEWUSER) == 0, path);
	close(fd);
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

/* Prints the errno of the call, 0 for none. */
static void connect_once(const char *ip, int port, int type)
{
	struct sockaddr_storage to;
	int size = endpoint(ip, port, &to);
	int fd = socket(to.ss_family, type | SOCK_CLOEXEC, 0);

	need(fd >= 0, "socket");
	printf("connect %d\n", connect(fd, (void *)&to, (unsigned)size) == 0 ? 0 : errno);
	fflush(stdout);
	close(fd);
}

static void send_many(const char *ip, int port, int count)
{
	struct sockaddr_storage to;
	int size = endpoint(ip, port, &to), refused = 0;
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	need(fd >= 0, "socket");
	for (int i = 0; i < count; i++)
		if (sendto(fd, "x", 1, 0, (void *)&to, (unsigned)size) < 0 && errno == EPERM)
			refused++;
	printf("refused %d\n", refused);
	fflush(stdout);
	close(fd);
}

struct thread_work {
	char **words;
	int code;
};

static void *exec_in_thread(void *context)
{
	char **words = ((struct thread_work *)context)->words;

	execve(words[0], words + 1, environ);
	fail(words[0]);
	return NULL;
}

static void *connect_in_thread(void *context)
{
	char **words = ((struct thread_work *)context)->words;

	connect_once(words[0], atoi(words[1]), SOCK_STREAM);
	return NULL;
}

static void *sleep_in_thread(void *context)
{
	(void)context;
	for (;;)
		pause();
	return NULL;
}

/* Ends alone, after the leader: found by the leader's state, which stays Z until the whole process is done. */
static void *end_after_leader(void *context)
{
	int code = ((struct thread_work *)context)->code;
	char path[64], text[512], *state;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	do {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t count;

		usleep(1000);
		need(fd >= 0, path);
		count = read(fd, text, sizeof(text) - 1);
		close(fd);
		need(count > 0, path);
		text[count] = 0;
		state = strrchr(text, ')');
	} while (state && state[2] != 'Z');
	syscall(SYS_exit, code);
	return NULL;
}

static void in_thread(void *(*body)(void *), char **words)
{
	struct thread_work work = {.words = words};
	pthread_t thread;

	need(pthread_create(&thread, NULL, body, &work) == 0, "thread");
	pthread_join(thread, NULL);
}

static void last_thread(int leader_code, int code)
{
	static struct thread_work work;
	pthread_t thread;

	work.code = code;
	need(pthread_create(&thread, NULL, end_after_leader, &work) == 0, "thread");
	syscall(SYS_exit, leader_code);
}

static void many_threads(int count, int code)
{
	pthread_t thread;

	for (int i = 0; i < count; i++)
		need(pthread_create(&thread, NULL, sleep_in_thread, NULL) == 0, "thread");
	_exit(code);
}

static void memfd_exec(const char *file, char **arguments)
{
	int from = open(file, O_RDONLY | O_CLOEXEC), to = memfd_create("hidden", MFD_CLOEXEC);
	char chunk[65536];
	ssize_t count;

	need(from >= 0 && to >= 0, file);
	while ((count = read(from, chunk, sizeof(chunk))) > 0)
		need(write(to, chunk, (size_t)count) == count, "write");
	fexecve(to, arguments, environ);
	fail("fexecve");
}

static void fill_exec(char *path, int count, int bytes)
{
	char **arguments = calloc((size_t)count + 2, sizeof(char *)), *filler = malloc((size_t)bytes + 1);

	need(arguments && filler, "memory");
	memset(filler, 'a', (size_t)bytes);
	filler[bytes] = 0;
	arguments[0] = path;
	for (int i = 0; i < count; i++)
		arguments[i + 1] = filler;
	execve(path, arguments, environ);
	fail(path);
}

static void clone_into(const char *dir, char **words)
{
	struct clone_args how = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long child;

	need(fd >= 0, dir);
	how.cgroup = (unsigned)fd;
	child = syscall(SYS_clone3, &how, sizeof(how));
	need(child >= 0, "clone3");
	if (child == 0) {
		execve(words[0], words + 1, environ);
		fail(words[0]);
	}
	printf("child %ld\n", child);
	end_as((pid_t)child);
}

static void int80(long number)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory", "r8", "r9", "r10", "r11");
	printf("int80 %ld\n", result);
	fflush(stdout);
}

static void use_memory(int mib)
{
	size_t bytes = (size_t)mib << 20;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED, "mmap");
	memset(memory, 1, bytes);
}

static void allow_core(void)
{
	struct rlimit no_limit = {RLIM_INFINITY, RLIM_INFINITY};

	need(setrlimit(RLIMIT_CORE, &no_limit) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0, "core limit");
}

static int is(const char *word, const char *name)
{
	return strcmp(word, name) == 0;
}

static void run(char **words);

static void spawn(char **words)
{
	pid_t child = fork();

	need(child >= 0, "fork");
	if (child == 0) {
		run(words);
		_exit(0);
	}
	printf("child %d\n", child);
	end_as(child);
}

/* Steps that take all words that are left. */
static void run_last(char **w)
{
	if (is(w[0], "exec")) {
		execve(w[1], w + 2, environ);
		fail(w[1]);
	} else if (is(w[0], "thread-exec")) {
		in_thread(exec_in_thread, w + 1);
	} else if (is(w[0], "memfd-exec")) {
		memfd_exec(w[1], w + 2);
	} else if (is(w[0], "fill-exec")) {
		fill_exec(w[1], atoi(w[2]), atoi(w[3]));
	} else if (is(w[0], "clone-into")) {
		clone_into(w[1], w + 2);
	} else if (is(w[0], "spawn")) {
		spawn(w + 1);
	} else if (is(w[0], "repeat")) {
		for (int left = atoi(w[1]); left > 0; left--)
			run(w + 2);
	} else {
		errno = EINVAL;
		fail(w[0]);
	}
}

/* Returns how many words the step took; 0: it is none of these. */
static int run_one(char **w)
{
	if (is(w[0], "join"))
		return join(w[1]), 2;
	if (is(w[0], "mntns"))
		return need(unshare(CLONE_NEWNS) == 0, "unshare"), 1;
	if (is(w[0], "cd"))
		return need(chdir(w[1]) == 0, w[1]), 2;
	if (is(w[0], "chroot"))
		return need(chroot(w[1]) == 0 && chdir("/") == 0, w[1]), 2;
	if (is(w[0], "pause"))
		return wait_for_byte(), 1;
	if (is(w[0], "fork"))
		return fork_once(atoi(w[1])), 2;
	if (is(w[0], "forks")) {
		for (int left = atoi(w[1]); left > 0; left--)
			fork_once(0);
		return 2;
	}
	if (is(w[0], "setuid"))
		return need(setresuid(atoi(w[1]), atoi(w[1]), atoi(w[1])) == 0, "setresuid"), 2;
	if (is(w[0], "userns"))
		return need(unshare(CLONE_NEWUSER) == 0, "unshare"), 1;
	if (is(w[0], "clone-userns"))
		return clone_userns(atoi(w[1])), 2;
	if (is(w[0], "seccomp"))
		return refuse_call(atoi(w[1]), atoi(w[2])), 3;
	if (is(w[0], "reboot"))
		return reboot_pid_namespace(), 1;
	if (is(w[0], "enter"))
		return enter_userns(w[1]), 2;
	if (is(w[0], "exit"))
		_exit(atoi(w[1]));
	if (is(w[0], "die"))
		return raise(atoi(w[1])), 2;
	if (is(w[0], "core"))
		return allow_core(), 1;
	if (is(w[0], "threads"))
		return many_threads(atoi(w[1]), atoi(w[2])), 3;
	if (is(w[0], "last-thread"))
		return last_thread(atoi(w[1]), atoi(w[2])), 3;
	if (is(w[0], "connect"))
		return connect_once(w[1], atoi(w[2]), SOCK_STREAM), 3;
	if (is(w[0], "udp-connect"))
		return connect_once(w[1], atoi(w[2]), SOCK_DGRAM), 3;
	if (is(w[0], "thread-connect"))
		return in_thread(connect_in_thread, w + 1), 3;
	if (is(w[0], "send"))
		return send_many(w[1], atoi(w[2]), atoi(w[3])), 4;
	if (is(w[0], "syscall"))
		return (void)syscall(atol(w[1]), 0, 0, 0, 0, 0, 0), 2;
	if (is(w[0], "int80"))
		return int80(atol(w[1])), 2;
	if (is(w[0], "alloc"))
		return use_memory(atoi(w[1])), 2;
	return 0;
}

static void run(char **words)
{
	while (*words) {
		int taken = run_one(words);

		if (taken == 0) {
			run_last(words);
			return;
		}
		words += taken;
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		decode(argv[i]);
	run(argv + 1);
	return 0;
}
