/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types of io_uring, as those of kernel.bpf.h.
 */
#ifndef HULLGUARD_KERNEL_RING_BPF_H
#define HULLGUARD_KERNEL_RING_BPF_H

#include "kernel.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* io_uring/, include/linux/io_uring_types.h. A request begins with what its operation keeps of it, up to 64 bytes:
 * struct io_open and the others below, each of which begins with the file. */
struct io_cqe {
	__u64 user_data;
	__s32 res;
	int fd; /* of the entry, until there is a result */
};

struct io_wq_work_node {
	struct io_wq_work_node *next;
};

struct io_wq_work_list {
	struct io_wq_work_node *first;
};

struct io_wq_work {
	struct io_wq_work_node list;
};

/* A thread of io-wq: task_struct.worker_private. */
struct io_worker {
	struct io_wq_work *cur_work;
};

struct io_submit_state {
	struct io_wq_work_list compl_reqs;
};

struct mutex { /* its other form, of PREEMPT_RT, has no such member */
	atomic_long_t owner;
};

struct io_ring_ctx {
	struct mutex uring_lock;
	struct io_submit_state submit_state;
};

struct io_big_cqe {
	__u64 extra1;
};

struct io_kiocb {
	struct file *file;
	__u8 opcode;
	unsigned int flags; /* the lowest byte is that of the entry, IOSQE_* */
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	struct io_wq_work_node comp_list;
	struct io_wq_work work;
	struct io_big_cqe big_cqe; /* v6.6 */
};

struct filename {
	const char *name; /* in kernel memory */
	const char *uptr; /* where the program had it */
};

struct io_open {
	int dfd;
	__u32 file_slot; /* not 0: the result is no descriptor but a place among the ring's own files */
	struct filename *filename;
	struct open_how how;
};

struct io_unlink {
	int dfd;
	int flags;
	struct filename *filename;
};

struct io_mkdir {
	int dfd;
	unsigned short mode;
	struct filename *filename;
};

struct io_rename {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_link {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_ftrunc { /* since v6.9 */
	__s64 len;
};

struct io_socket {
	int domain;
	int type;
	int protocol;
	__u32 file_slot;
};

struct io_accept {
	int flags;
	__u32 file_slot;
};

struct io_bind { /* these two since v6.11 */
	int addr_len;
};

struct io_listen {
	int backlog;
};

struct io_sr_msg {
	int len;
	unsigned int msg_flags;
};

#pragma clang attribute pop

#endif
