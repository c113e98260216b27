/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Acts that a program has an io_uring do: no syscall of theirs is ever made. Told like the syscall of the same name, with
 * HG_CALL_IO_URING and the ring's opcode as `nr`; the process is the one that submitted the request. Hooks, attached only while
 * somebody wants such an act; a process without a ring pays nothing:
 *   io_uring_submit_req (io_uring_submit_sqe before v6.4): io_submit_sqe() after the entry was read once, so what is read here are
 *     the kernel's own copies, paths too (struct filename). Every request passes, those of a polling thread and of a chain too.
 *   io_uring_complete: the result is known, the request still whole. In the submitting process: itself, its polling thread or worker.
 *   io_uring_cqe_overflow: the same, when the program left no room for the result (since v6.10 io_uring_complete is then silent).
 *
 * From submission to completion a request is kept in `ring_requests`. One that will not be heard of again is told at once, without a
 * result: the program asked for no completion (IOSQE_CQE_SKIP_SUCCESS), or there is no room to keep it. One whose completion was not
 * heard is told when the kernel uses its memory again.
 * Fail direction: as call.bpf.c.
 */
#define IOSQE_FIXED_FILE 1 /* include/uapi/linux/io_uring.h */
#define IOSQE_CQE_SKIP_SUCCESS 64
#if defined(__TARGET_ARCH_arm64)
#define O_LARGEFILE 0400000
#else
#define O_LARGEFILE 0100000
#endif
#define IORING_OP_SENDMSG 9
#define IORING_OP_RECVMSG 10
#define IORING_OP_ACCEPT 13
#define IORING_OP_OPENAT 18
#define IORING_OP_SEND 26
#define IORING_OP_RECV 27
#define IORING_OP_OPENAT2 28
#define IORING_OP_RENAMEAT 35
#define IORING_OP_UNLINKAT 36
#define IORING_OP_MKDIRAT 37
#define IORING_OP_SYMLINKAT 38
#define IORING_OP_LINKAT 39
#define IORING_OP_SOCKET 45
#define IORING_OP_FTRUNCATE 55
#define IORING_OP_BIND 56
#define IORING_OP_LISTEN 57

/* More than an io_uring of usual size holds. */
#define RING_REQUESTS_MAX 4096

struct ring_request {
	__u64 args[6]; /* as the syscall of that name has them */
	__u64 how[3];  /* of an open: flags, mode, resolve */
	__u64 context; /* struct io_ring_ctx * */
	__u64 user_data;
	__u64 start_ns; /* who submitted it */
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 gid;
	__u32 path_bytes;
	__u32 path2_bytes;
	__s32 dirfd;
	__s32 dirfd2;
	__s32 fd;  /* that it is about, -1 none, or one of the ring's own files */
	__u16 act; /* enum hg_act */
	__u8 opcode;
	__u8 is_result_fd;
	__u8 is_path_lost; /* there was no room to keep it */
	__u8 reserved[7];
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

static __always_inline __u32 ring__act(__u32 opcode)
{
	switch (opcode) {
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
		return HG_ACT_OPEN;
	case IORING_OP_RENAMEAT:
		return HG_ACT_RENAME;
	case IORING_OP_UNLINKAT:
		return HG_ACT_UNLINK;
	case IORING_OP_MKDIRAT:
		return HG_ACT_MKDIR;
	case IORING_OP_SYMLINKAT:
		return HG_ACT_SYMLINK;
	case IORING_OP_LINKAT:
		return HG_ACT_LINK;
	case IORING_OP_FTRUNCATE:
		return HG_ACT_TRUNCATE;
	case IORING_OP_SOCKET:
		return HG_ACT_SOCKET;
	case IORING_OP_BIND:
		return HG_ACT_BIND;
	case IORING_OP_LISTEN:
		return HG_ACT_LISTEN;
	case IORING_OP_ACCEPT:
		return HG_ACT_ACCEPT;
	case IORING_OP_SENDMSG:
	case IORING_OP_SEND:
		return HG_ACT_SEND;
	case IORING_OP_RECVMSG:
	case IORING_OP_RECV:
		return HG_ACT_RECV;
	default:
		return HG_ACT_NONE;
	}
}

/* Keeps a path of the request. Returns its length. */
__noinline int ring__keep_path(__u32 slot, __u64 request, __u32 which, __u64 filename)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct ring_path_key key = {.request = request, .which = which};
	long length;

	if (!scratch)
		return 0;
	length = bpf_probe_read_kernel_str(scratch->raw, HG_PATH_MAX_BYTES,
					   BPF_CORE_READ((struct filename *)filename, name));
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
	emit__count_drop(HG_DROP_HELPER, HG_KIND_CALL);
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

		request->dirfd = BPF_CORE_READ(rename, old_dfd);
		request->dirfd2 = BPF_CORE_READ(rename, new_dfd);
		from = BPF_CORE_READ(rename, oldpath);
		to = BPF_CORE_READ(rename, newpath);
		flags = BPF_CORE_READ(rename, flags);
	} else {
		struct io_link *link = (struct io_link *)address;

		request->dirfd = BPF_CORE_READ(link, old_dfd);
		request->dirfd2 = BPF_CORE_READ(link, new_dfd);
		from = BPF_CORE_READ(link, oldpath);
		to = BPF_CORE_READ(link, newpath);
		flags = BPF_CORE_READ(link, flags);
	}
	if (request->act == HG_ACT_SYMLINK) {
		/* symlinkat(target, dirfd, path): the path is the second, the target is only text */
		request->args[0] = (__u64)BPF_CORE_READ(from, uptr);
		request->args[1] = (__s64)request->dirfd2;
		request->args[2] = (__u64)BPF_CORE_READ(to, uptr);
		request->dirfd = request->dirfd2;
		request->path_bytes = ring__path(slot, request, address, 0, to);
		request->path2_bytes = ring__path(slot, request, address, 1, from);
		return;
	}
	request->args[0] = (__s64)request->dirfd;
	request->args[1] = (__u64)BPF_CORE_READ(from, uptr);
	request->args[2] = (__s64)request->dirfd2;
	request->args[3] = (__u64)BPF_CORE_READ(to, uptr);
	request->args[4] = (__u32)flags;
	request->path_bytes = ring__path(slot, request, address, 0, from);
	request->path2_bytes = ring__path(slot, request, address, 1, to);
}

static __always_inline void ring__read_one(__u32 slot, __u64 address, struct ring_request *request)
{
	struct filename *filename;

	if (request->act == HG_ACT_OPEN) {
		struct io_open *open = (struct io_open *)address;

		request->dirfd = BPF_CORE_READ(open, dfd);
		filename = BPF_CORE_READ(open, filename);
		/* io_openat_prep() sets O_LARGEFILE, as the syscalls do behind the arguments that they were given. */
		request->how[0] = BPF_CORE_READ(open, how.flags) & ~(__u64)O_LARGEFILE;
		request->how[1] = BPF_CORE_READ(open, how.mode);
		request->how[2] = BPF_CORE_READ(open, how.resolve);
		request->is_result_fd = BPF_CORE_READ(open, file_slot) == 0;
		if (request->opcode == IORING_OP_OPENAT) {
			request->args[2] = request->how[0];
			request->args[3] = request->how[1];
		}
	} else if (request->act == HG_ACT_UNLINK) {
		request->dirfd = BPF_CORE_READ((struct io_unlink *)address, dfd);
		filename = BPF_CORE_READ((struct io_unlink *)address, filename);
		request->args[2] = (__u32)BPF_CORE_READ((struct io_unlink *)address, flags);
	} else {
		request->dirfd = BPF_CORE_READ((struct io_mkdir *)address, dfd);
		filename = BPF_CORE_READ((struct io_mkdir *)address, filename);
		request->args[2] = BPF_CORE_READ((struct io_mkdir *)address, mode);
	}
	request->args[0] = (__s64)request->dirfd;
	request->args[1] = (__u64)BPF_CORE_READ(filename, uptr);
	request->path_bytes = ring__path(slot, request, address, 0, filename);
}

static __always_inline void ring__read_socket(__u64 address, struct ring_request *request)
{
	if (request->act == HG_ACT_SOCKET) {
		struct io_socket *socket = (struct io_socket *)address;

		request->args[0] = (__u32)BPF_CORE_READ(socket, domain);
		request->args[1] = (__u32)BPF_CORE_READ(socket, type);
		request->args[2] = (__u32)BPF_CORE_READ(socket, protocol);
		request->is_result_fd = BPF_CORE_READ(socket, file_slot) == 0;
		return;
	}
	request->fd = BPF_CORE_READ((struct io_kiocb *)address, cqe.fd);
	if (BPF_CORE_READ((struct io_kiocb *)address, flags) & IOSQE_FIXED_FILE)
		request->fd = -1;
	request->args[0] = (__s64)request->fd;
	if (request->act == HG_ACT_ACCEPT) {
		request->args[3] = (__u32)BPF_CORE_READ((struct io_accept *)address, flags);
		request->is_result_fd = BPF_CORE_READ((struct io_accept *)address, file_slot) == 0;
	} else if (request->act == HG_ACT_LISTEN && bpf_core_type_exists(struct io_listen)) {
		request->args[1] = (__s64)BPF_CORE_READ((struct io_listen *)address, backlog);
	} else if (request->act == HG_ACT_BIND && bpf_core_type_exists(struct io_bind)) {
		request->args[2] = (__u32)BPF_CORE_READ((struct io_bind *)address, addr_len);
	} else if (request->act == HG_ACT_TRUNCATE && bpf_core_type_exists(struct io_ftrunc)) {
		request->args[1] = BPF_CORE_READ((struct io_ftrunc *)address, len);
	} else if (request->act == HG_ACT_SEND || request->act == HG_ACT_RECV) {
		bool is_message = request->opcode == IORING_OP_SENDMSG || request->opcode == IORING_OP_RECVMSG;
		__u32 flags = BPF_CORE_READ((struct io_sr_msg *)address, msg_flags);

		if (is_message) {
			request->args[2] = flags;
		} else {
			request->args[2] = (__u32)BPF_CORE_READ((struct io_sr_msg *)address, len);
			request->args[3] = flags;
		}
	}
}

/* Puts the kept path `which` into its half of scratch->raw and forgets it. */
static __always_inline void ring__take_path(struct scratch *scratch, __u64 address, __u64 which)
{
	struct ring_path_key key = {.request = address, .which = which};
	struct ring_path *path = bpf_map_lookup_elem(&ring_paths, &key);

	if (!path)
		return;
	bpf_probe_read_kernel(&scratch->raw[which ? HG_PATH_MAX_BYTES : 0], HG_PATH_MAX_BYTES, path);
	bpf_map_delete_elem(&ring_paths, &key);
}

/* As call__write_paths(), from the kept paths. */
__noinline int ring__write_paths(__u32 slot, __u64 address, __u32 dirfd, __u32 dirfd2, __u32 is_at_home)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct ev_call *call;
	__u32 length = 0;

	if (!scratch)
		return -1;
	call = &scratch->call;
	if (call->raw_bytes)
		ring__take_path(scratch, address, 0);
	if (call->raw2_bytes)
		ring__take_path(scratch, address, 1);
	if (scratch->file)
		length = descriptor__append_path(slot, 0);
	else if (call->raw_bytes && is_at_home)
		length = call__append_joined(slot, 0, 0, call->raw_bytes, dirfd);
	else if (call->raw_bytes)
		call->flags |= HG_CALL_PATH_TRUNCATED;
	OPAQUE(length);
	if (length > HG_PATH_MAX_BYTES)
		return -1;
	call->path_bytes = length;
	if (!call->raw2_bytes || call->act == HG_ACT_SYMLINK || !is_at_home)
		return length;
	call->path2_bytes = call__append_joined(slot, length, 1, call->raw2_bytes, dirfd2);
	return length + call->path2_bytes;
}

/* Is the current task of the process that submitted it? What a kernel thread has open, and where it stands, is not the process's. */
static __always_inline bool ring__is_at_home(const struct ring_request *request)
{
	return bpf_get_current_pid_tgid() >> 32 == request->pid;
}

static __always_inline void ring__read_file(__u32 slot, struct scratch *scratch, const struct ring_request *request,
					    __u64 address)
{
	struct ev_call *call = &scratch->call;
	__u64 file = 0;

	scratch->file = 0;
	call->fd = request->fd;
	if (request->is_result_fd && (call->flags & HG_CALL_HAS_RESULT) && call->result >= 0)
		call->fd = call->result;
	else if (request->act != HG_ACT_OPEN && request->act != HG_ACT_SOCKET && (call->flags & HG_CALL_HAS_RESULT))
		file = (__u64)BPF_CORE_READ((struct io_kiocb *)address, file);
	if (!file && call->fd >= 0 && ring__is_at_home(request))
		file = descriptor__file(call->fd);
	if (file)
		descriptor__read(slot, file, call->fd);
}

static __always_inline void ring__output(struct scratch *scratch, const struct ring_request *request,
					 __u32 strings_bytes, const struct map_profile *rules)
{
	struct ev_call *call = &scratch->call;
	struct ev_header kept = call->header;
	__u32 size_bytes;

	emit__header(&call->header, HG_KIND_CALL, 0, bpf_get_current_task_btf());
	call->header.cgroup_id = kept.cgroup_id;
	call->header.profile = kept.profile;
	call->header.program_version = kept.program_version;
	call->header.phase = kept.phase;
	call->header.start_ns = request->start_ns;
	call->header.pid = request->pid;
	call->header.tid = request->tid;
	call->header.uid = request->uid;
	call->header.gid = request->gid;
	OPAQUE(strings_bytes);
	if (strings_bytes > 4 * HG_PATH_MAX_BYTES) {
		emit__count_drop(HG_DROP_HELPER, HG_KIND_CALL);
		return;
	}
	size_bytes = sizeof(*call) + strings_bytes;
	call->header.size_bytes = size_bytes;
	emit__output(&call->header, size_bytes, rules && (rules->acts_urgent & (1ULL << (call->act & 63))));
}

/* Is the act wanted from this task? Gives its home and phase to scratch->call. */
static __always_inline bool ring__is_wanted(struct scratch *scratch, const struct task_struct *task, __u32 act,
					    bool *is_aggregated)
{
	struct task_state *state = task__state(task->group_leader);
	struct map_cgroup *entry = state ? task__cgroup_entry(state->home) : NULL;
	struct map_control *settings = emit__control();
	__u64 bit = 1ULL << (act & 63);

	if (!settings || task->tgid == settings->agent_pid || !((entry ? entry->acts : settings->acts_host) & bit))
		return false;
	scratch->walked_file = 0;
	call__begin(scratch, task, state, entry ? task__profile(entry, settings->version) : 0, settings->version);
	*is_aggregated = (entry ? entry->acts_aggregated : settings->acts_host_aggregated) & bit;
	return true;
}

/* Tells of the request at `address`: the kept one, or the one that is being submitted. */
__noinline int ring__report(__u32 slot, __u64 address, __u32 has_result, __s64 result)
{
	__u32 zero = 0;
	struct ring_request *request = bpf_map_lookup_elem(&ring_requests, &address);
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct task_struct *task = bpf_get_current_task_btf();
	struct map_profile *rules;
	bool is_aggregated = false;
	struct ev_call *call;
	__u32 profile;
	int length;

	if (!request)
		request = bpf_map_lookup_elem(&ring_submitted, &zero);
	if (!request || !scratch || !ring__is_wanted(scratch, task, request->act, &is_aggregated))
		return 0;
	call = &scratch->call;
	call->header.pid = request->pid;
	call->act = request->act;
	call->nr = request->opcode;
	call->flags = HG_CALL_IO_URING | (has_result ? HG_CALL_HAS_RESULT : 0) |
		      (request->is_path_lost ? HG_CALL_PATH_TRUNCATED : 0);
	call->result = has_result ? result : 0;
	__builtin_memcpy(call->args, request->args, sizeof(call->args));
	__builtin_memcpy(call->facts, request->how, sizeof(request->how));
	call->raw_bytes = request->path_bytes;
	call->raw2_bytes = request->path2_bytes;
	profile = call->header.profile;
	rules = profile ? bpf_map_lookup_elem(&profiles, &profile) : NULL;
	ring__read_file(slot, scratch, request, address);
	if (call->act == HG_ACT_OPEN)
		call__read_access(scratch, call, 0);
	if (is_aggregated && !call__is_due(slot))
		return 0;
	length = ring__write_paths(slot, address, request->dirfd, request->dirfd2, ring__is_at_home(request));
	if (length < 0)
		return 0;
	if (rules && file_act__is_one(call->act) && !file_act__is_written_wanted(slot, profile))
		return 0;
	length += call__append_raw(slot, length, 0, call->raw_bytes);
	length += call__append_raw(slot, length, 1, call->raw2_bytes);
	ring__output(scratch, request, length, rules);
	return 1;
}

static __always_inline void ring__forget(__u64 address)
{
	struct ring_path_key key = {.request = address};

	bpf_map_delete_elem(&ring_requests, &address);
	bpf_map_delete_elem(&ring_paths, &key);
	key.which = 1;
	bpf_map_delete_elem(&ring_paths, &key);
}

static __always_inline void ring__end(__u64 address, bool has_result, __s64 result)
{
	__u32 slot = bpf_get_smp_processor_id();

	ring__report(slot, address, has_result, result);
	ring__forget(address);
}

/* Fills in who submitted which request, and what of it the ring's memory can change no more. */
static __always_inline void ring__read(__u32 slot, __u64 address, struct ring_request *request)
{
	struct task_struct *task = bpf_get_current_task_btf();

	request->context = (__u64)BPF_CORE_READ((struct io_kiocb *)address, ctx);
	request->user_data = BPF_CORE_READ((struct io_kiocb *)address, cqe.user_data);
	request->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	request->pid = task->tgid;
	request->tid = task->pid;
	request->uid = BPF_CORE_READ(task, cred, euid.val);
	request->gid = BPF_CORE_READ(task, cred, egid.val);
	request->fd = -1;
	if (request->act == HG_ACT_RENAME || request->act == HG_ACT_LINK || request->act == HG_ACT_SYMLINK)
		ring__read_two(slot, address, request);
	else if (request->act == HG_ACT_OPEN || request->act == HG_ACT_UNLINK || request->act == HG_ACT_MKDIR)
		ring__read_one(slot, address, request);
	else
		ring__read_socket(address, request);
}

/* context: of the hook; its first argument is the request. */
static __always_inline int ring__submit(void *context)
{
	__u32 slot = bpf_get_smp_processor_id(), zero = 0, opcode, act;
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct ring_request *request = bpf_map_lookup_elem(&ring_submitted, &zero);
	bool is_aggregated;
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), context);
	opcode = BPF_CORE_READ((struct io_kiocb *)address, opcode);
	act = ring__act(opcode);
	if (!act)
		return 0;
	if (bpf_map_lookup_elem(&ring_requests, &address))
		ring__end(address, false, 0);
	if (!scratch || !request) {
		emit__count_drop(HG_DROP_SCRATCH, HG_KIND_CALL);
		return 0;
	}
	if (!ring__is_wanted(scratch, bpf_get_current_task_btf(), act, &is_aggregated))
		return 0;
	__builtin_memset(request, 0, sizeof(*request));
	request->act = act;
	request->opcode = opcode;
	ring__read(slot, address, request);
	if ((BPF_CORE_READ((struct io_kiocb *)address, flags) & IOSQE_CQE_SKIP_SUCCESS) ||
	    bpf_map_update_elem(&ring_requests, &address, request, BPF_ANY))
		ring__end(address, false, 0);
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_ring_submit_req)
{
	return ring__submit(ctx);
}

SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_ring_submit_sqe)
{
	return ring__submit(ctx);
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_ring_complete)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &ctx[1]);
	if (!bpf_map_lookup_elem(&ring_requests, &address))
		return 0;
	ring__end(address, true, BPF_CORE_READ((struct io_kiocb *)address, cqe.res));
	return 0;
}

struct ring_search {
	__u64 context;
	__u64 user_data;
	__u64 found;
};

static long ring__match(void *map, const __u64 *address, struct ring_request *request, struct ring_search *search)
{
	if (request->context != search->context || request->user_data != search->user_data)
		return 0;
	search->found = *address;
	return 1;
}

SEC("tp_btf/io_uring_cqe_overflow")
int BPF_PROG(on_ring_overflow)
{
	struct ring_search search = {};
	__s64 result = 0;

	bpf_probe_read_kernel(&search.context, sizeof(search.context), &ctx[0]);
	bpf_probe_read_kernel(&search.user_data, sizeof(search.user_data), &ctx[1]);
	bpf_probe_read_kernel(&result, sizeof(result), &ctx[2]);
	bpf_for_each_map_elem(&ring_requests, ring__match, &search, 0);
	if (search.found)
		ring__end(search.found, true, (__s32)result);
	return 0;
}
