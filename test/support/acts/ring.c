/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request through an io_uring of its own, which is submitted and waited for. Returns the completion's result, or `-errno` when
 * the ring could not be made; WITHOUT_COMPLETION for a request that asks for none (IOSQE_CQE_SKIP_SUCCESS) and got none, for
 * which a no-op behind it is waited for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 8
#define NO_OP_DATA 2
#define WITHOUT_COMPLETION 99999
#define WORKER_US 50000 /* longer than a worker takes to open a file */

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

/* Leaves no room for a completion: nobody takes these. */
static int fill(struct ring *ring)
{
	struct io_uring_sqe no_op = {.opcode = IORING_OP_NOP, .user_data = NO_OP_DATA};

	for (uint32_t left = ring->params.cq_entries; left > 0; left -= ENTRIES) {
		for (int i = 0; i < ENTRIES; i++)
			queue(ring, &no_op);
		if (syscall(SYS_io_uring_enter, ring->fd, ENTRIES, 0, 0, NULL, 0) != ENTRIES)
			return -1;
	}
	return 0;
}

/* a: opcode, fd, address, length, offset, flags, flags of the entry, index of a fixed file, whether to leave no room for the
 * completion. */
long ring_call(const long *a)
{
	struct io_uring_sqe entry = {.opcode = a[0], .fd = a[1], .addr = a[2], .len = a[3], .off = a[4], .user_data = 1};
	int is_silent = a[6] & IOSQE_CQE_SKIP_SUCCESS;
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
	if (a[8] && fill(&ring))
		return -errno;
	queue(&ring, &entry);
	if (a[8]) {
		if (syscall(SYS_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0) != 1)
			return -errno;
		usleep(WORKER_US);
		close(ring.fd);
		return WITHOUT_COMPLETION;
	}
	if (is_silent) {
		struct io_uring_sqe no_op = {.opcode = IORING_OP_NOP, .flags = IOSQE_IO_DRAIN, .user_data = NO_OP_DATA};

		queue(&ring, &no_op);
	}
	if (syscall(SYS_io_uring_enter, ring.fd, 1 + !!is_silent, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	result = result_of(&ring, 1, WITHOUT_COMPLETION);
	close(ring.fd);
	return result;
}
