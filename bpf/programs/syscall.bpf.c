/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * System calls by their names, when they begin. Hook: sys_enter (every syscall of the host pays for it: attached only while a
 * rule asks for what its end does not show, or `--activity syscall` does). An event at a container's first use of a call, and for each call
 * that is outside what its profile allows. Phase setup is not counted: those are the runtime's calls. What is not to be judged here is
 * let go before anything is asked of the task: rules name a few calls, and programs make others.
 *
 * A kill here comes at the entry of the call: the signal is taken before the task returns to user space, but the call itself
 * still runs, so the outcome is killed_after_effect.
 */
SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long id)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	__u32 nr = id, abi = syscall__abi(task, &nr);

	if (nr < HG_SYSCALLS_MAX && !syscall__is_ignored(abi, nr))
		syscall__judge(task, nr, abi, SYSCALL_ENTRY, 0, false);
	return 0;
}
