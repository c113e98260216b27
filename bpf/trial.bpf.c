/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which rungs does this kernel give that not every kernel gives? One program a rung on a hook that user space can call at will (it opens a file), each
 * counting its runs: a hook that attaches but never runs (bpf missing from the list of LSMs) is told from one that works.
 * Of the functions that opens come to each run of the agent's own calls counts: a compiler may have put a function's body into some of
 * its callers, and those never come to it. The last ones ask only whether the kernel has a tracepoint of that name, and what it passes,
 * or a function that programs may call: loading tells.
 * Loaded one by one at start (src/sensor/ladder.ts), released before the real object is loaded. Decides and reports nothing.
 */
#include "lib/kernel_read.bpf.h"
#include "lib/kernel_ring.bpf.h"

enum trial { TRIAL_LSM = 0, TRIAL_FENTRY = 1, TRIAL_OPEN = 2, TRIAL_OPEN_BY_HANDLE = 3, TRIALS_COUNT = 4 };

const volatile __u32 cfg_open_mark =
	0; /* the agent's opens have this mode, or its negative as the descriptor of the mount */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRIALS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} trials SEC(".maps");

static __always_inline void trial__count(__u32 index)
{
	__u64 *runs_count = bpf_map_lookup_elem(&trials, &index);

	if (runs_count)
		__sync_fetch_and_add(runs_count, 1);
}

SEC("lsm/file_open")
int BPF_PROG(trial_lsm, struct file *file, int ret)
{
	trial__count(TRIAL_LSM);
	return ret;
}

SEC("fentry/security_file_open")
int BPF_PROG(trial_fentry, struct file *file)
{
	trial__count(TRIAL_FENTRY);
	return 0;
}

SEC("fexit/do_sys_openat2")
int BPF_PROG(trial_open, int dirfd, const char *name, const struct open_how *how)
{
	if (how->mode == cfg_open_mark)
		trial__count(TRIAL_OPEN);
	return 0;
}

SEC("fexit/do_handle_open")
int BPF_PROG(trial_open_by_handle, int mount_fd)
{
	if (mount_fd == -(int)cfg_open_mark)
		trial__count(TRIAL_OPEN_BY_HANDLE);
	return 0;
}

/* Refused where the tracepoint passes anything else (before v6.0). */
static __always_inline int trial__is_request(const struct io_kiocb *request)
{
	__u8 opcode = request->opcode;

	barrier_var(opcode);
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(trial_ring_submit_req, struct io_kiocb *request)
{
	return trial__is_request(request);
}

SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(trial_ring_submit_sqe, struct io_kiocb *request)
{
	return trial__is_request(request);
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(trial_ring_complete)
{
	return 0;
}

/* A kernel whose requests lack this member (v6.6) tells of every completion before it looks for room: the load is refused. */
SEC("tp_btf/io_uring_cqe_overflow")
int BPF_PROG(trial_ring_overflow)
{
	__u32 offset = bpf_core_field_offset(struct io_kiocb, big_cqe);

	barrier_var(offset);
	return 0;
}

SEC("tp_btf/cap_capable")
int BPF_PROG(trial_cap_capable)
{
	return 0;
}

/* Needs bpf_rdonly_cast(): where the kernel lacks it the program is refused. */
SEC("tp_btf/sys_exit")
int BPF_PROG(trial_cast, struct pt_regs *regs)
{
	struct task_struct *task = KERNEL_CAST(bpf_get_current_task(), struct task_struct);
	pid_t pid = task->pid;

	barrier_var(pid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
