/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does system calls exactly as it is told, one after the other, and prints `NR RESULT` for each (`-errno` for a failure).
 * Built static by test/support/call-acts.ts. Words:
 *   sys NR ARG…      natively          sys32 NR ARG…   through int 0x80 (x86-64 only)
 *   ring OPCODE FD ADDR LEN OFFSET FLAGS SQE-FLAGS FILE-INDEX WAY   through an io_uring (ring.c): prints the completion's result
 *   child            a process that waits for its end, which comes with this one's; its pid is the result
 *   fork             the rest is done by a child, which is waited for
 *   chdir DIR · chroot DIR
 * ARG: a number (0x…, decimal) · $N the result of call N (from 0) · @pid · @ppid · s:TEXT a string (%xx is one byte) · 0 …
 *   how:FLAGS:MODE:RESOLVE struct open_how · in:ADDR:PORT sockaddr_in or _in6 · un:PATH sockaddr_un, un:%00NAME
 *   ll:PROTOCOL sockaddr_ll · msg:ADDR:PORT struct msghdr to there, one byte · caps struct __user_cap_header
 *   buf:BYTES zeroed memory · @handle one struct file_handle, the same each time
 *   args:A:B:… an array of u32, for the calls of ia32 that take one
 * All memory of the arguments lies below 4 GiB, so that 32-bit calls reach it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define POOL_BYTES (1 << 20)
#define CHILDREN_MAX 8

/* ring.c */
long ring_call(const long *a);

static char *pool;
static size_t pool_used;
static long results[256];
static int results_count;
static pid_t children[CHILDREN_MAX];
static int children_count;

static void *take(size_t bytes)
{
	void *memory = pool + pool_used;

	pool_used += (bytes + 15) & ~15UL;
	if (pool_used > POOL_BYTES)
		exit(99);
	return memory;
}

static int hex(char digit)
{
	return digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10;
}

/* Returns the length; the text is terminated too. */
static size_t decode(const char *word, char **out)
{
	char *text = take(strlen(word) + 1);
	size_t length = 0;

	for (const char *at = word; *at; at++) {
		if (*at == '%' && at[1] && at[2]) {
			text[length++] = hex(at[1]) * 16 + hex(at[2]);
			at += 2;
		} else {
			text[length++] = *at;
		}
	}
	text[length] = 0;
	*out = text;
	return length;
}

static void *inet_address(const char *word, socklen_t *bytes)
{
	char *copy = strdup(word), *port = strrchr(copy, ':');
	struct sockaddr_in6 *six = take(sizeof(*six));
	struct sockaddr_in *four = (struct sockaddr_in *)six;

	*port++ = 0;
	if (inet_pton(AF_INET, copy, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(atoi(port));
		*bytes = sizeof(*four);
	} else {
		inet_pton(AF_INET6, copy, &six->sin6_addr);
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(atoi(port));
		*bytes = sizeof(*six);
	}
	free(copy);
	return six;
}

static long unix_address(const char *word)
{
	struct sockaddr_un *address = take(sizeof(*address));
	char *path;
	size_t length = decode(word, &path);

	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, length);
	return (long)address;
}

static long message(const char *word)
{
	struct msghdr *header = take(sizeof(*header));
	struct iovec *part = take(sizeof(*part));

	part->iov_base = take(1);
	part->iov_len = 1;
	header->msg_name = inet_address(word, &header->msg_namelen);
	header->msg_iov = part;
	header->msg_iovlen = 1;
	return (long)header;
}

static long packet_address(const char *word)
{
	struct sockaddr_ll *address = take(sizeof(*address));

	address->sll_family = AF_PACKET;
	address->sll_protocol = htons(strtol(word, NULL, 0));
	return (long)address;
}

static long numbers(const char *word, int is_wide)
{
	uint32_t *narrow = take(64);
	uint64_t *wide = (uint64_t *)narrow;
	int index = 0;

	for (const char *at = word; at && *at && index < 6; index++) {
		long value = *at == '$' ? results[atoi(at + 1)] : strtoll(at, NULL, 0);

		if (is_wide)
			wide[index] = value;
		else
			narrow[index] = value;
		at = strchr(at, ':');
		if (at)
			at++;
	}
	return (long)narrow;
}

static long the_handle(void)
{
	static struct file_handle *handle;

	if (!handle) {
		handle = take(sizeof(*handle) + MAX_HANDLE_SZ);
		handle->handle_bytes = MAX_HANDLE_SZ;
	}
	return (long)handle;
}

static long argument(const char *word)
{
	socklen_t bytes;
	char *text;

	if (word[0] == '$')
		return results[atoi(word + 1)];
	if (strcmp(word, "@pid") == 0)
		return getpid();
	if (strcmp(word, "@ppid") == 0)
		return getppid();
	if (strcmp(word, "@handle") == 0)
		return the_handle();
	if (strncmp(word, "s:", 2) == 0) {
		decode(word + 2, &text);
		return (long)text;
	}
	if (strncmp(word, "how:", 4) == 0)
		return numbers(word + 4, 1);
	if (strncmp(word, "in:", 3) == 0)
		return (long)inet_address(word + 3, &bytes);
	if (strncmp(word, "un:", 3) == 0)
		return unix_address(word + 3);
	if (strncmp(word, "ll:", 3) == 0)
		return packet_address(word + 3);
	if (strncmp(word, "buf:", 4) == 0)
		return (long)take(strtoul(word + 4, NULL, 0));
	if (strncmp(word, "msg:", 4) == 0)
		return message(word + 4);
	if (strncmp(word, "args:", 5) == 0)
		return numbers(word + 5, 0);
	if (strcmp(word, "caps") == 0) {
		struct __user_cap_header_struct *header = take(sizeof(*header));

		header->version = _LINUX_CAPABILITY_VERSION_3;
		return (long)header;
	}
	return strtoll(word, NULL, 0);
}

static long native_call(long nr, const long *a)
{
	long result = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);

	return result == -1 ? -errno : result;
}

static long compat_call(long nr, const long *a)
{
#ifndef MAP_32BIT
#define MAP_32BIT 0 /* what it is for, calls of 32 bits, is of x86-64 alone here */
#endif

#if defined(__x86_64__)
	long result;

	__asm__ volatile("push %%rbp; mov %[six], %%rbp; int $0x80; pop %%rbp"
			 : "=a"(result)
			 : "a"(nr), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]), [six] "r"(a[5])
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
#else
	(void)nr;
	(void)a;
	return -ENOSYS;
#endif
}

static int is_verb(const char *word)
{
	static const char *const verbs[] = {"sys", "sys32", "ring", "child", "fork", "chdir", "chroot"};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(word, verbs[i]))
			return 1;
	return 0;
}

static void told(long nr, long result)
{
	if (results_count < 256)
		results[results_count++] = result;
	printf("%ld %ld\n", nr, result);
	fflush(stdout);
}

static char **call(char **words)
{
	int is_compat = strcmp(words[0], "sys32") == 0, is_ring = strcmp(words[0], "ring") == 0;
	long nr = strtoll(words[1], NULL, 0), arguments[9] = {0};
	int count = 0;

	words += 2;
	while (*words && !is_verb(*words) && count < 8)
		arguments[count++] = argument(*words++);
	if (is_ring) {
		memmove(arguments + 1, arguments, sizeof(arguments) - sizeof(arguments[0]));
		arguments[0] = nr;
		told(nr, ring_call(arguments));
	} else {
		told(nr, is_compat ? compat_call(nr, arguments) : native_call(nr, arguments));
	}
	return words;
}

static void start_child(void)
{
	pid_t child = children_count < CHILDREN_MAX ? fork() : -1;

	if (child == 0)
		for (;;)
			pause();
	if (child > 0)
		children[children_count++] = child;
	told(0, child);
}

static void end_children(void)
{
	for (int i = 0; i < children_count; i++) {
		/* with all its arguments: whoever watches sees them */
		native_call(SYS_kill, (long[6]){children[i], SIGKILL});
		waitpid(children[i], NULL, 0);
	}
}

int main(int count, char **words)
{
	(void)count;
	pool = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (pool == MAP_FAILED)
		return 99;
	for (words++; *words;) {
		if (!strcmp(*words, "fork")) {
			int status;
			pid_t child = fork();

			if (child != 0) {
				waitpid(child, &status, 0);
				return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
			}
			words++;
		} else if (!strcmp(*words, "chdir") || !strcmp(*words, "chroot")) {
			char *path;

			decode(words[1], &path);
			if (words[0][3] == 'o' ? chroot(path) : chdir(path))
				return 97;
			words += 2;
		} else if (!strcmp(*words, "child")) {
			start_child();
			words++;
		} else {
			words = call(words);
		}
	}
	end_children();
	return 0;
}
