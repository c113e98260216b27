/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Acts that a program has an io_uring do: no syscall of theirs is ever made. Told like the syscall of the same name, with
 * HG_CALL_IO_URING and the ring's opcode as `nr`; the process is the one that submitted the request. Hooks, attached only while
 * somebody wants such an act:
 *   io_uring_submit_req (io_uring_submit_sqe before v6.4): io_submit_sqe() after the entry was read once. Every request passes, those
 *     of a polling thread and of a chain too; it is kept in `ring_requests` (lib/ring.bpf.h).
 *   io_uring_complete: the result is known, the request still whole. Anyone can be current: the process itself, its polling thread or
 *     worker, or a worker of the kernel. What the result's descriptor stands for is read only in the process.
 *   io_uring_cqe_overflow: the program left no room for results, and io_uring_complete is silent (since v6.6; before, it comes first).
 *     The hook says of which ring, but not of which request: see ring__overflowed().
 *
 * One that will not be heard of again is told at once, without a result: the program asked for no completion
 * (IOSQE_CQE_SKIP_SUCCESS), or there is no room to keep it. One whose completion was not heard (what follows in a chain that failed) is
 * told without a result when the kernel uses its memory again.
 * Fail direction: as call.bpf.c.
 */

/* Puts the kept path `which` into its half of scratch->raw and forgets it. Returns its length: 0 and counted, when it is gone. */
static __always_inline __u32 ring__take_path(struct scratch *scratch, __u64 address, __u64 which, __u32 length)
{
	struct ring_path_key key = {.request = address, .which = which};
	struct ring_path *path;
	long error;

	if (!length)
		return 0;
	path = bpf_map_lookup_elem(&ring_paths, &key);
	error = !path || bpf_probe_read_kernel(&scratch->raw[which ? HG_PATH_MAX_BYTES : 0], HG_PATH_MAX_BYTES, path);
	bpf_map_delete_elem(&ring_paths, &key);
	if (!error)
		return length;
	emit__count_unread(&scratch->call.header, HG_KIND_CALL);
	scratch->call.flags |= HG_CALL_PATH_TRUNCATED;
	return 0;
}

/* As call__write_paths(), from the kept paths, of the lengths in call->raw_bytes and raw2_bytes. */
__noinline int ring__write_paths(__u32 slot, __u64 address, __u32 dirfd, __u32 dirfd2, __u32 is_at_home)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct ev_call *call;
	__u32 length = 0;

	if (!scratch)
		return -1;
	call = &scratch->call;
	call->raw_bytes = ring__take_path(scratch, address, 0, call->raw_bytes);
	call->raw2_bytes = ring__take_path(scratch, address, 1, call->raw2_bytes);
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

/* Is the current task of the process that submitted it? What another has open, and where it stands, is not that process's. */
static __always_inline bool ring__is_at_home(const struct ring_request *request)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->tgid == request->pid && KERNEL_READ(task, group_leader, start_boottime) == request->start_ns;
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
		file = (__u64)KERNEL_READ((struct io_kiocb *)address, file);
	if (!file && call->fd >= 0 && ring__is_at_home(request))
		file = descriptor__file(call->fd);
	if (file)
		descriptor__read(slot, file, call->fd);
}

/* Does the socket tell both ends of the act in `call`? An address that the program named lies in its own memory, or in what the request has
 * kept of it, which may be gone by now: of a bind that came to nothing, and of what is sent and received without a connection. */
static __always_inline bool ring__are_ends_known(const struct ev_call *call)
{
	if (!(call->flags & HG_CALL_HAS_RESULT))
		return false;
	switch (call->act) {
	case HG_ACT_BIND:
		return call->result >= 0;
	case HG_ACT_SEND:
	case HG_ACT_RECV:
		return call->remote_port || call->nr == HG_RING_RECV;
	default:
		return true;
	}
}

/* Begins scratch->call: whose the request is was read when it was submitted, what is in force is read now. */
static __always_inline void ring__begin(struct scratch *scratch, const struct ring_request *request)
{
	struct map_cgroup *entry = task__cgroup_entry(request->home);
	struct map_control *settings = emit__control();
	struct ev_call *call = &scratch->call;

	__builtin_memset(call, 0, sizeof(*call));
	scratch->walked_file = 0;
	call->header.program_version = settings ? settings->version : 0;
	call->header.profile = entry ? task__profile(entry, call->header.program_version) : 0;
	call->header.cgroup_id = request->home;
	call->header.phase = request->phase;
	call->header.pid = request->pid;
	call->header.boot_ns = bpf_ktime_get_boot_ns();
	call->act = request->act;
	call->nr = request->opcode;
	call->flags = HG_CALL_IO_URING | (request->is_path_lost ? HG_CALL_PATH_TRUNCATED : 0);
	__builtin_memcpy(call->args, request->args, sizeof(call->args));
	__builtin_memcpy(call->facts, request->how, sizeof(request->how));
	call->raw_bytes = request->path_bytes;
	call->raw2_bytes = request->path2_bytes;
}

static __always_inline void ring__output(struct scratch *scratch, const struct ring_request *request,
					 __u32 strings_bytes, const struct map_profile *rules)
{
	struct ev_header *header = &scratch->call.header;

	call__number(header, bpf_get_current_task_btf());
	header->start_ns = request->start_ns;
	header->pid = request->pid;
	header->tid = request->tid;
	header->uid = request->uid;
	header->gid = request->gid;
	call__put_out(&scratch->call, strings_bytes, rules);
}

/* Tells of the request at `address`: the kept one, or the one that is being submitted. */
__noinline int ring__report(__u32 slot, __u64 address, __u32 has_result, __s64 result)
{
	__u32 zero = 0;
	struct ring_request *request = bpf_map_lookup_elem(&ring_requests, &address);
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_profile *rules;
	struct ev_call *call;
	__u32 profile;
	int length;

	if (!request)
		request = bpf_map_lookup_elem(&ring_submitted, &zero);
	if (!request || !scratch) {
		emit__count_drop(HG_DROP_SCRATCH, HG_KIND_CALL);
		return 0;
	}
	ring__begin(scratch, request);
	call = &scratch->call;
	if (has_result) {
		call->flags |= HG_CALL_HAS_RESULT;
		call->result = result;
	}
	profile = call->header.profile;
	rules = profile ? bpf_map_lookup_elem(&profiles, &profile) : NULL;
	if (!user__is_act_wanted_of(profile, call->act, request->uid))
		return 0;
	ring__read_file(slot, scratch, request, address);
	if (call->act == HG_ACT_OPEN)
		call__read_access(scratch, call, 0);
	if (request->is_aggregated && !call__is_due(slot))
		return 0;
	if (rules && !connect__is_act_wanted(slot, profile, ring__are_ends_known(call)))
		return 0;
	length = ring__write_paths(slot, address, request->dirfd, request->dirfd2, ring__is_at_home(request));
	if (length < 0) {
		emit__lose(call->header.cgroup_id, profile, HG_DROP_HELPER, HG_KIND_CALL);
		return 0;
	}
	if (rules && file_act__is_one(call->act) && !file_act__is_written_wanted(slot, profile))
		return 0;
	length += call__append_raw(slot, length, 0, call->raw_bytes);
	length += call__append_raw(slot, length, 1, call->raw2_bytes);
	ring__output(scratch, request, length, rules);
	return 1;
}

static __always_inline void ring__end(__u64 address, bool has_result, __s64 result)
{
	__u32 slot = bpf_get_smp_processor_id();

	ring__report(slot, address, has_result, result);
	ring__forget(address);
}

/* With the result that the request itself carries. */
static __always_inline void ring__end_done(__u64 address)
{
	ring__end(address, true, KERNEL_READ((struct io_kiocb *)address, cqe.res));
}

/* Is the act wanted of this task? */
static __always_inline bool ring__is_wanted(const struct task_struct *task, const struct task_state *state, __u32 act,
					    struct ring_request *request)
{
	struct map_cgroup *entry = state ? task__cgroup_entry(state->home) : NULL;
	struct map_control *settings = emit__control();
	__u64 bit = 1ULL << (act & 63);

	if (!settings || task->tgid == settings->agent_pid || !((entry ? entry->acts : settings->acts_host) & bit))
		return false;
	__builtin_memset(request, 0, sizeof(*request));
	request->is_aggregated = !!((entry ? entry->acts_aggregated : settings->acts_host_aggregated) & bit);
	return true;
}

/* context: of the hook; its first argument is the request. Read as a number, which crosses calls. */
static __always_inline int ring__submit(void *context)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 slot = bpf_get_smp_processor_id(), zero = 0, opcode, act;
	struct ring_request *request;
	struct task_state *state;
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), context);
	/* Of any opcode: what is kept of the request that had this memory before must not be taken for this one's. */
	if (ring__kept(address))
		ring__end(address, false, 0);
	opcode = KERNEL_READ((struct io_kiocb *)address, opcode);
	act = ring__act(opcode);
	if (!act)
		return 0;
	request = bpf_map_lookup_elem(&ring_submitted, &zero);
	if (!request) {
		emit__count_drop(HG_DROP_SCRATCH, HG_KIND_CALL);
		return 0;
	}
	state = task__state(task->group_leader);
	if (!ring__is_wanted(task, state, act, request))
		return 0;
	request->act = act;
	request->opcode = opcode;
	ring__read(slot, address, request, task, state);
	if ((KERNEL_READ((struct io_kiocb *)address, flags) & IOSQE_CQE_SKIP_SUCCESS) || !ring__keep(address, request))
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
int BPF_PROG(on_ring_complete, void *context, void *request)
{
	if (ring__kept((__u64)request))
		ring__end_done((__u64)request);
	return 0;
}

/* Requests of a ring's list of done ones that are looked through: the list can be as long as the ring, and a lock is held. */
#define RING_STEPS_MAX 128

struct ring_search {
	__u64 context;
	__u64 user_data;
	__u64 node; /* where the search stands: struct io_wq_work_node * of a request, 0 at the end */
	__u64 node_offset;
	__u64 found; /* address of a kept request */
};

static long ring__step(__u32 index, struct ring_search *search)
{
	struct io_wq_work_node *node = (struct io_wq_work_node *)search->node;
	__u64 address = (__u64)node - search->node_offset;

	if (!node)
		return 1;
	if (bpf_map_lookup_elem(&ring_requests, &address)) {
		search->found = address;
		return 1;
	}
	search->node = (__u64)KERNEL_READ(node, next);
	return 0;
}

static long ring__match(void *map, const __u64 *address, struct ring_request *request, struct ring_search *search)
{
	if (request->context != search->context || request->user_data != search->user_data)
		return 0;
	search->found = *address;
	return 1;
}

/*
 * Which kept request is done, now that a result of this ring found no room? user_data is the program's to choose, so it proves nothing.
 *   The ring's lock is ours: its list of done requests is being handed to the program in order (__io_submit_flush_completions()), so
 *     the first kept one in it is done and was not heard. None in the whole list: what found no room is no kept request's.
 *   A worker of the process: the request that it works on (io_req_complete_post()), if it is of this ring.
 * Returns 0 when it is none, and false in *is_certain when that cannot be told.
 */
static __always_inline __u64 ring__overflowed(struct ring_search *search, bool *is_certain)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct io_ring_ctx *ring = (struct io_ring_ctx *)search->context;
	struct io_worker *worker;
	__u64 work, address;

	*is_certain = true;
	if (bpf_core_field_exists(struct mutex, owner) &&
	    ((__u64)KERNEL_READ(ring, uring_lock.owner.counter) & ~7ULL) == (__u64)task) {
		search->node = (__u64)KERNEL_READ(ring, submit_state.compl_reqs.first);
		search->node_offset = bpf_core_field_offset(struct io_kiocb, comp_list);
		bpf_loop(RING_STEPS_MAX, ring__step, search, 0);
		*is_certain = search->found || !search->node;
		return search->found;
	}
	worker = task->flags & PF_IO_WORKER ? KERNEL_READ(task, worker_private) : NULL;
	work = worker ? (__u64)KERNEL_READ(worker, cur_work) : 0;
	address = work - bpf_core_field_offset(struct io_kiocb, work);
	if (work && KERNEL_READ((struct io_kiocb *)address, ctx) == ring)
		return ring__kept(address) ? address : 0;
	*is_certain = false;
	return 0;
}

/* In doubt a request that was submitted with the same user_data is told without a result: whether this one was its, is not known. */
SEC("tp_btf/io_uring_cqe_overflow")
int BPF_PROG(on_ring_overflow, void *context, __u64 user_data)
{
	struct ring_search search = {.context = (__u64)context, .user_data = user_data};
	bool is_certain;
	__u64 address;

	if (!ring_kept_count)
		return 0;
	address = ring__overflowed(&search, &is_certain);
	if (address) {
		ring__end_done(address);
	} else if (!is_certain) {
		bpf_for_each_map_elem(&ring_requests, ring__match, &search, 0);
		if (search.found)
			ring__end(search.found, false, 0);
	}
	return 0;
}
