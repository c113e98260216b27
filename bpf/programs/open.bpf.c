/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens at the end of the functions that carry them out, where the kernel lets programs attach there: processes that open nothing
 * pay nothing. The registers of the call give its arguments, so what is told of a call that comes here is what sys_exit tells (call.bpf.c).
 *   do_sys_openat2: open, openat, openat2, creat, of every ABI; it has the kernel's copy of openat2's flags
 *   do_handle_open: open_by_handle_at
 * io_uring's opens come to neither of them (ring.bpf.c), nor does a call that seccomp or a tracer turns away, nor an
 * openat2 whose `how` is malformed.
 *
 * These hooks can be preempted: scratch is claimed, as by those of the LSM. With no slot free the open is counted as lost, in its place
 * and with whose it was: whether it is wanted for its path cannot be told without.
 */
static __always_inline int open__end(long result, const struct open_how *how)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct call_end end;
	__u32 slot;

	if (!call__find(&end, task, regs, HG_RECIPE_BY_FUNCTION))
		return 0;
	slot = lsm__try_claim();
	if (!slot) {
		call__lose(task, &end);
		return 0;
	}
	call__tell(slot, task, regs, &end, result, how);
	lsm__release(slot);
	return 0;
}

/* The result is an int on some kernels, whose upper half is then anything. */
SEC("fexit/do_sys_openat2")
int BPF_PROG(on_open_result, int dirfd, const char *name, const struct open_how *how, long result)
{
	return open__end((__s32)result, how);
}

SEC("fexit/do_handle_open")
int BPF_PROG(on_open_by_handle, int mount_fd, void *handle, int flags, long result)
{
	return open__end((__s32)result, NULL);
}
