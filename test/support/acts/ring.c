/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request through an io_uring of its own, which is submitted and waited for. Returns the completion's result, or `-errno` when
 * the ring could not be made; WITHOUT_COMPLETION for a request that asks for none (IOSQE_CQE_SKIP_SUCCESS) and got none, for
 * which a no-op behind it is waited for. Or in another way: enum way.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENTRIES 8
#define NO_OP_DATA 2
#define NOWHERE "/none/there"
#define WITHOUT_COMPLETION 99999
#define WORKER_US 50000 /* longer than a worker takes to open a file */

enum way {
	WAY_PLAIN = 0,
	WAY_FULL = 1, /* no room is left for its completion */
	WAY_TWIN =
		2, /* of a socket of its own; a no-op with the same user_data ends first, then four bytes arrive; no room for either */
	WAY_BEHIND =
		3, /* in a chain behind a request that fails and asks for no completion: it is never done. No-ops come after it */
	WAY_HEIR =
		4, /* as WAY_BEHIND, but the no-ops are a child's that joins the cgroup whose cgroup.procs the offset names */
	WAY_CHAIN =
		5, /* behind one that waits for four bytes: it is done on the way out of the write that brings them */
};

struct ring {
	int fd;
	char *rings; /* both, since IORING_FEAT_SINGLE_MMAP (Linux 5.4) */
	struct io_uring_sqe *entries;
	struct io_uring_params params;
};

static long make(struct ring *ring)
{
	size_t bytes;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, ENTRIES, &ring->params);
	if (ring->fd < 0)
		return -errno;
	bytes = ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
	ring->rings = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->entries = mmap(NULL, ENTRIES * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			     IORING_OFF_SQES);
	return ring->rings == MAP_FAILED || ring->entries == MAP_FAILED ? -errno : 0;
}

static uint32_t *word(struct ring *ring, uint32_t offset)
{
	return (uint32_t *)(ring->rings + offset);
}

static void queue(struct ring *ring, const struct io_uring_sqe *entry)
{
	uint32_t *tail = word(ring, ring->params.sq_off.tail), at = *tail & (ENTRIES - 1);

	ring->entries[at] = *entry;
	word(ring, ring->params.sq_off.array)[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

/* The result of the completion that carries `data`. */
static long result_of(struct ring *ring, uint64_t data, long otherwise)
{
	const struct io_uring_cqe *all = (const struct io_uring_cqe *)(ring->rings + ring->params.cq_off.cqes);
	uint32_t head = *word(ring, ring->params.cq_off.head);
	uint32_t tail = __atomic_load_n(word(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE);

	for (; head != tail; head++) {
		const struct io_uring_cqe *one = &all[head & (ring->params.cq_entries - 1)];

		if (one->user_data == data)
			return one->res;
	}
	return otherwise;
}

static int submit(struct ring *ring, uint32_t count)
{
	return syscall(SYS_io_uring_enter, ring->fd, count, 0, 0, NULL, 0) == count ? 0 : -errno;
}

/* Leaves no room for a completion: nobody takes these. */
static int fill(struct ring *ring)
{
	struct io_uring_sqe no_op = {.opcode = IORING_OP_NOP, .user_data = NO_OP_DATA};

	for (uint32_t left = ring->params.cq_entries; left > 0; left -= ENTRIES) {
		for (int i = 0; i < ENTRIES; i++)
			queue(ring, &no_op);
		if (submit(ring, ENTRIES))
			return -1;
	}
	return 0;
}

static long twin(struct ring *ring, struct io_uring_sqe *entry)
{
	struct io_uring_sqe no_op = {.opcode = IORING_OP_NOP, .user_data = entry->user_data};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	entry->fd = pair[0];
	queue(ring, entry);
	queue(ring, &no_op);
	if (submit(ring, 2) || write(pair[1], "four", 4) != 4)
		return -errno;
	usleep(WORKER_US);
	return WITHOUT_COMPLETION;
}

static long chained(struct ring *ring, const struct io_uring_sqe *entry)
{
	struct io_uring_sqe waits = {.opcode = IORING_OP_RECV, .flags = IOSQE_IO_LINK, .user_data = NO_OP_DATA};
	char four[4];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	waits.fd = pair[0];
	waits.addr = (unsigned long)four;
	waits.len = sizeof(four);
	queue(ring, &waits);
	queue(ring, entry);
	if (submit(ring, 2) || write(pair[1], "four", 4) != 4)
		return -errno;
	usleep(WORKER_US);
	return result_of(ring, entry->user_data, WITHOUT_COMPLETION);
}

static long behind(struct ring *ring, struct io_uring_sqe *entry, const char *procs)
{
	struct io_uring_sqe no_op = {.opcode = IORING_OP_NOP, .user_data = NO_OP_DATA}, fails = {0};
	int status = 0, fd;
	pid_t child = 0;

	access(NOWHERE, F_OK); /* its absence is known from here on: no worker has to be asked, so it fails when it is submitted */
	fails.opcode = IORING_OP_OPENAT;
	fails.flags = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	fails.fd = AT_FDCWD;
	fails.addr = (unsigned long)NOWHERE;
	fails.user_data = NO_OP_DATA;
	queue(ring, &fails);
	queue(ring, entry);
	if (submit(ring, 2))
		return -errno;
	if (procs) {
		child = fork();
		if (child > 0)
			return waitpid(child, &status, 0) == child && status == 0 ? WITHOUT_COMPLETION : -ECHILD;
		fd = open(procs, O_WRONLY);
		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(1);
	}
	for (int i = 0; i < ENTRIES; i++)
		queue(ring, &no_op);
	if (submit(ring, ENTRIES))
		return -errno;
	if (procs)
		_exit(0);
	return result_of(ring, entry->user_data, WITHOUT_COMPLETION);
}

/* a: opcode, fd, address, length, offset, flags, flags of the entry, index of a fixed file, enum way. */
long ring_call(const long *a)
{
	struct io_uring_sqe entry = {
		.opcode = a[0], .fd = a[1], .addr = a[2], .len = a[3], .off = a[4], .user_data = 1};
	int is_silent = a[6] & IOSQE_CQE_SKIP_SUCCESS;
	enum way way = a[8];
	struct ring ring;
	long result;

	entry.rw_flags = a[5];
	entry.flags = a[6];
	entry.file_index = a[7];
	result = make(&ring);
	if (result)
		return result;
	if (a[7]) {
		int32_t none = -1;

		if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, &none, 1))
			return -errno;
	}
	if ((way == WAY_FULL || way == WAY_TWIN) && fill(&ring))
		return -errno;
	if (way == WAY_TWIN) {
		result = twin(&ring, &entry);
	} else if (way == WAY_CHAIN) {
		result = chained(&ring, &entry);
	} else if (way == WAY_BEHIND) {
		result = behind(&ring, &entry, NULL);
	} else if (way == WAY_HEIR) {
		entry.off = 0;
		result = behind(&ring, &entry, (const char *)a[4]);
	} else if (way == WAY_FULL) {
		queue(&ring, &entry);
		result = submit(&ring, 1) ? -errno : WITHOUT_COMPLETION;
		usleep(WORKER_US);
	} else {
		queue(&ring, &entry);
		if (is_silent) {
			struct io_uring_sqe no_op = {
				.opcode = IORING_OP_NOP, .flags = IOSQE_IO_DRAIN, .user_data = NO_OP_DATA};

			queue(&ring, &no_op);
		}
		if (syscall(SYS_io_uring_enter, ring.fd, 1 + !!is_silent, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
			return -errno;
		result = result_of(&ring, 1, WITHOUT_COMPLETION);
	}
	close(ring.fd);
	return result;
}
