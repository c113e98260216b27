/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests of an io_uring that do what an act does: which they are, what of one is read when it is submitted, and where it is kept
 * until its result is known. What is read are the kernel's own copies, paths too (struct filename): the program can change them no
 * more. What the request cannot be asked for later is read here: whose it is, in which phase.
 *
 * Fail direction: a path that cannot be read or kept is missing, the request says so, and it is counted.
 */
#ifndef HULLGUARD_RING_BPF_H
#define HULLGUARD_RING_BPF_H

#include "kernel_ring.bpf.h"
#include "open.bpf.h"

#define IOSQE_FIXED_FILE 1 /* include/uapi/linux/io_uring.h */
#define IOSQE_CQE_SKIP_SUCCESS 64

/* More than an io_uring of usual size holds. */
#define RING_REQUESTS_MAX 4096

struct ring_request {
	__u64 args[6]; /* as the syscall of that name has them */
	__u64 how[3];  /* of an open: flags, mode, resolve */
	__u64 context; /* struct io_ring_ctx * */
	__u64 user_data;
	__u64 home;	/* of the process that submitted it */
	__u64 start_ns; /* … when it began */
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 gid;
	__u32 phase; /* enum hg_phase */
	__u32 path_bytes;
	__u32 path2_bytes;
	__s32 dirfd;
	__s32 dirfd2;
	__s32 fd;  /* that it is about, -1 none, or one of the ring's own files */
	__u16 act; /* enum hg_act */
	__u8 opcode;
	__u8 is_result_fd;
	__u8 is_path_lost;  /* a path could not be read, or there was no room to keep it */
	__u8 is_aggregated; /* repeats of it are counted */
	__u8 reserved[2];
};

/* The request that is being submitted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ring_request);
} ring_submitted SEC(".maps");

/* Key: address of the request. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RING_REQUESTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct ring_request);
} ring_requests SEC(".maps");

/* Entries of `ring_requests`: while there are none, no request has to be looked up. */
__u64 ring_kept_count = 0;

struct ring_path_key {
	__u64 request;
	__u64 which;
};

struct ring_path {
	char bytes[HG_PATH_MAX_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * RING_REQUESTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ring_path_key);
	__type(value, struct ring_path);
} ring_paths SEC(".maps");

static __always_inline struct ring_request *ring__kept(__u64 address)
{
	return ring_kept_count ? bpf_map_lookup_elem(&ring_requests, &address) : NULL;
}

static __always_inline bool ring__keep(__u64 address, const struct ring_request *request)
{
	if (bpf_map_update_elem(&ring_requests, &address, request, BPF_ANY))
		return false;
	__sync_fetch_and_add(&ring_kept_count, 1);
	return true;
}

static __always_inline void ring__forget(__u64 address)
{
	struct ring_path_key key = {.request = address};

	if (bpf_map_delete_elem(&ring_requests, &address) == 0)
		__sync_fetch_and_add(&ring_kept_count, -1);
	bpf_map_delete_elem(&ring_paths, &key);
	key.which = 1;
	bpf_map_delete_elem(&ring_paths, &key);
}

static __always_inline __u32 ring__act(__u32 opcode)
{
	switch (opcode) {
	case HG_RING_OPENAT:
	case HG_RING_OPENAT2:
		return HG_ACT_OPEN;
	case HG_RING_RENAMEAT:
		return HG_ACT_RENAME;
	case HG_RING_UNLINKAT:
		return HG_ACT_UNLINK;
	case HG_RING_MKDIRAT:
		return HG_ACT_MKDIR;
	case HG_RING_SYMLINKAT:
		return HG_ACT_SYMLINK;
	case HG_RING_LINKAT:
		return HG_ACT_LINK;
	case HG_RING_FTRUNCATE:
		return HG_ACT_TRUNCATE;
	case HG_RING_SOCKET:
		return HG_ACT_SOCKET;
	case HG_RING_BIND:
		return HG_ACT_BIND;
	case HG_RING_LISTEN:
		return HG_ACT_LISTEN;
	case HG_RING_ACCEPT:
		return HG_ACT_ACCEPT;
	case HG_RING_SENDMSG:
	case HG_RING_SENDMSG_ZC:
	case HG_RING_SEND:
	case HG_RING_SEND_ZC:
		return HG_ACT_SEND;
	case HG_RING_RECVMSG:
	case HG_RING_RECV:
		return HG_ACT_RECV;
	default:
		return HG_ACT_NONE;
	}
}

/* Keeps a path of the request. Returns its length, or a negative number when it could not be read or kept. */
__noinline int ring__keep_path(__u32 slot, __u64 request, __u32 which, __u64 filename)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct ring_path_key key = {.request = request, .which = which};
	long length;

	if (!scratch)
		return -1;
	length = bpf_probe_read_kernel_str(scratch->raw, HG_PATH_MAX_BYTES,
					   KERNEL_READ((struct filename *)filename, name));
	if (length < 0)
		return length;
	/* Of an empty string 6.1 and 6.12 say 0 and later kernels 1. */
	if (length <= 1)
		return 0;
	if (bpf_map_update_elem(&ring_paths, &key, scratch->raw, BPF_ANY))
		return -1;
	return length - 1;
}

static __always_inline __u32 ring__path(__u32 slot, struct ring_request *request, __u64 address, __u32 which,
					const struct filename *filename)
{
	int length = ring__keep_path(slot, address, which, (__u64)filename);

	if (length >= 0)
		return length;
	task__count_loss(request->home, HG_DROP_HELPER, HG_KIND_CALL);
	request->is_path_lost = 1;
	return 0;
}

/* Operations on two paths: struct io_rename and struct io_link are laid out alike but need not be. */
static __always_inline void ring__read_two(__u32 slot, __u64 address, struct ring_request *request)
{
	struct filename *from, *to;
	int flags;

	if (request->act == HG_ACT_RENAME) {
		struct io_rename *rename = (struct io_rename *)address;

		request->dirfd = KERNEL_READ(rename, old_dfd);
		request->dirfd2 = KERNEL_READ(rename, new_dfd);
		from = KERNEL_READ(rename, oldpath);
		to = KERNEL_READ(rename, newpath);
		flags = KERNEL_READ(rename, flags);
	} else {
		struct io_link *link = (struct io_link *)address;

		request->dirfd = KERNEL_READ(link, old_dfd);
		request->dirfd2 = KERNEL_READ(link, new_dfd);
		from = KERNEL_READ(link, oldpath);
		to = KERNEL_READ(link, newpath);
		flags = KERNEL_READ(link, flags);
	}
	if (request->act == HG_ACT_SYMLINK) {
		/* symlinkat(target, dirfd, path): the path is the second, the target is only text */
		request->args[0] = (__u64)KERNEL_READ(from, uptr);
		request->args[1] = (__s64)request->dirfd2;
		request->args[2] = (__u64)KERNEL_READ(to, uptr);
		request->dirfd = request->dirfd2;
		request->path_bytes = ring__path(slot, request, address, 0, to);
		request->path2_bytes = ring__path(slot, request, address, 1, from);
		return;
	}
	request->args[0] = (__s64)request->dirfd;
	request->args[1] = (__u64)KERNEL_READ(from, uptr);
	request->args[2] = (__s64)request->dirfd2;
	request->args[3] = (__u64)KERNEL_READ(to, uptr);
	request->args[4] = (__u32)flags;
	request->path_bytes = ring__path(slot, request, address, 0, from);
	request->path2_bytes = ring__path(slot, request, address, 1, to);
}

static __always_inline void ring__read_one(__u32 slot, __u64 address, struct ring_request *request)
{
	struct filename *filename;

	if (request->act == HG_ACT_OPEN) {
		struct io_open *open = (struct io_open *)address;

		request->dirfd = KERNEL_READ(open, dfd);
		filename = KERNEL_READ(open, filename);
		/* io_openat_prep() sets O_LARGEFILE, as the syscalls do behind the arguments that they were given. */
		request->how[0] = KERNEL_READ(open, how.flags) & ~(__u64)O_LARGEFILE;
		request->how[1] = KERNEL_READ(open, how.mode);
		request->how[2] = KERNEL_READ(open, how.resolve);
		request->is_result_fd = KERNEL_READ(open, file_slot) == 0;
		if (request->opcode == HG_RING_OPENAT) {
			request->args[2] = request->how[0];
			request->args[3] = request->how[1];
		}
	} else if (request->act == HG_ACT_UNLINK) {
		request->dirfd = KERNEL_READ((struct io_unlink *)address, dfd);
		filename = KERNEL_READ((struct io_unlink *)address, filename);
		request->args[2] = (__u32)KERNEL_READ((struct io_unlink *)address, flags);
	} else {
		request->dirfd = KERNEL_READ((struct io_mkdir *)address, dfd);
		filename = KERNEL_READ((struct io_mkdir *)address, filename);
		request->args[2] = KERNEL_READ((struct io_mkdir *)address, mode);
	}
	request->args[0] = (__s64)request->dirfd;
	request->args[1] = (__u64)KERNEL_READ(filename, uptr);
	request->path_bytes = ring__path(slot, request, address, 0, filename);
}

static __always_inline void ring__read_socket(__u64 address, struct ring_request *request)
{
	if (request->act == HG_ACT_SOCKET) {
		struct io_socket *socket = (struct io_socket *)address;

		request->args[0] = (__u32)KERNEL_READ(socket, domain);
		request->args[1] = (__u32)KERNEL_READ(socket, type);
		request->args[2] = (__u32)KERNEL_READ(socket, protocol);
		request->is_result_fd = KERNEL_READ(socket, file_slot) == 0;
		return;
	}
	request->fd = KERNEL_READ((struct io_kiocb *)address, cqe.fd);
	if (KERNEL_READ((struct io_kiocb *)address, flags) & IOSQE_FIXED_FILE)
		request->fd = -1;
	request->args[0] = (__s64)request->fd;
	if (request->act == HG_ACT_ACCEPT) {
		request->args[3] = (__u32)KERNEL_READ((struct io_accept *)address, flags);
		request->is_result_fd = KERNEL_READ((struct io_accept *)address, file_slot) == 0;
	} else if (request->act == HG_ACT_LISTEN && bpf_core_type_exists(struct io_listen)) {
		request->args[1] = (__s64)KERNEL_READ((struct io_listen *)address, backlog);
	} else if (request->act == HG_ACT_BIND && bpf_core_type_exists(struct io_bind)) {
		request->args[2] = (__u32)KERNEL_READ((struct io_bind *)address, addr_len);
	} else if (request->act == HG_ACT_TRUNCATE && bpf_core_type_exists(struct io_ftrunc)) {
		request->args[1] = KERNEL_READ((struct io_ftrunc *)address, len);
	} else if (request->act == HG_ACT_SEND || request->act == HG_ACT_RECV) {
		bool is_message = request->opcode == HG_RING_SENDMSG || request->opcode == HG_RING_SENDMSG_ZC ||
				  request->opcode == HG_RING_RECVMSG;
		__u32 flags = KERNEL_READ((struct io_sr_msg *)address, msg_flags);

		if (is_message) {
			request->args[2] = flags;
		} else {
			request->args[2] = (__u32)KERNEL_READ((struct io_sr_msg *)address, len);
			request->args[3] = flags;
		}
	}
}

/* Fills in who submitted which request, and what of it the ring's memory can change no more. The act and opcode are there. */
static __always_inline void ring__read(__u32 slot, __u64 address, struct ring_request *request,
				       const struct task_struct *task, const struct task_state *state)
{
	request->context = (__u64)KERNEL_READ((struct io_kiocb *)address, ctx);
	request->user_data = KERNEL_READ((struct io_kiocb *)address, cqe.user_data);
	request->home = state ? state->home : task__cgroup_id(task);
	request->phase = state ? state->phase : HG_PHASE_RUN;
	request->start_ns = KERNEL_READ(task, group_leader, start_boottime);
	request->pid = task->tgid;
	request->tid = task->pid;
	request->uid = KERNEL_READ(task, cred, euid.val);
	request->gid = KERNEL_READ(task, cred, egid.val);
	request->fd = -1;
	if (request->act == HG_ACT_RENAME || request->act == HG_ACT_LINK || request->act == HG_ACT_SYMLINK)
		ring__read_two(slot, address, request);
	else if (request->act == HG_ACT_OPEN || request->act == HG_ACT_UNLINK || request->act == HG_ACT_MKDIR)
		ring__read_one(slot, address, request);
	else
		ring__read_socket(address, request);
}

#endif
