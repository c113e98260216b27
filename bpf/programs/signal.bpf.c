/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Signals from a process to another, attached only while somebody wants them:
 *   signal_generate: __send_signal_locked(), with the sender current and the target at hand.
 * A signal that could not be sent is told by the end of its call (call.bpf.c).
 */
#define SEND_SIG_PRIV 1 /* include/linux/sched/signal.h: from the kernel, as a value of the pointer */

#define WANTED_OF_SENDER 1
#define WANTED_OF_TARGET 2

enum signal_answer { SIGNAL_UNTOLD = 0, SIGNAL_TOLD = 1, SIGNAL_SPARED = 2 };

/* Is the signal of the current task, in the call `nr`, to be told? `wanted`: of whose containers' rules signals are. Not inlined: what it
 * answers would be one more branch of all that follows. */
__noinline int signal__answer(__u32 nr, __u32 wanted, __u32 profile, __u32 target_profile)
{
	if (call__take_spared(bpf_get_current_task_btf(), nr))
		return SIGNAL_SPARED;
	if ((wanted & WANTED_OF_SENDER) && user__is_act_wanted(profile, HG_ACT_SIGNAL))
		return SIGNAL_TOLD;
	return (wanted & WANTED_OF_TARGET) && user__is_act_wanted(target_profile, HG_ACT_SIGNAL) ? SIGNAL_TOLD :
												   SIGNAL_UNTOLD;
}

/* A signal from a process to another. Both the sender's container and the target's may want it. */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int sig, struct kernel_siginfo *info, struct task_struct *target)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct task_state *state, *target_state;
	struct map_cgroup *entry = NULL, *target_entry = NULL;
	struct map_control *settings = emit__control();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	__u32 nr = syscall__nr(regs), abi = syscall__abi(task, &nr), index;
	const __u64 bit = 1ULL << HG_ACT_SIGNAL;
	struct map_profile *rules = NULL; /* signals are the business of the target's rules */
	struct map_recipe *recipe;
	struct ev_call event = {};
	__u32 profile, wanted;
	int answer;

	if (nr >= HG_SYSCALLS_MAX || !settings || (__u64)info == SEND_SIG_PRIV || target->tgid == task->tgid ||
	    task->tgid == settings->agent_pid)
		return 0;
	if (info && KERNEL_READ(info, si_code) > 0)
		return 0;
	/* Whatever else makes signals (timers, a child's end) does not come from within one of these calls. */
	index = abi * HG_SYSCALLS_MAX + nr;
	recipe = bpf_map_lookup_elem(&recipes, &index);
	if (!recipe || recipe->act != HG_ACT_SIGNAL)
		return 0;
	state = task__state(task->group_leader);
	target_state = task__state(target->group_leader);
	if (state)
		entry = task__cgroup_entry(state->home);
	if (target_state)
		target_entry = task__cgroup_entry(target_state->home);
	wanted = ((entry ? entry->acts : settings->acts_host) & bit ? WANTED_OF_SENDER : 0) |
		 (target_entry && (target_entry->acts & bit) ? WANTED_OF_TARGET : 0);
	if (!wanted)
		return 0;
	answer = signal__answer(nr, wanted, entry ? task__profile(entry, settings->version) : 0,
				target_entry ? task__profile(target_entry, settings->version) : 0);
	if (answer == SIGNAL_UNTOLD)
		return 0;
	emit__header(&event.header, HG_KIND_CALL, sizeof(event), task);
	event.header.cgroup_id = state ? state->home : task__cgroup_id(task);
	event.header.phase = state ? state->phase : HG_PHASE_RUN;
	event.header.profile = entry ? task__profile(entry, event.header.program_version) : 0;
	event.act = HG_ACT_SIGNAL;
	event.nr = nr;
	event.abi = abi;
	event.fd = -1;
	event.flags = HG_CALL_HAS_RESULT;
	syscall__read_args(regs, abi, event.args);
	event.facts[0] = sig;
	event.target_pid = target->tgid;
	event.target_start_ns = KERNEL_READ(target, group_leader, start_boottime);
	event.target_cgroup_id = target_state ? target_state->home : task__cgroup_id(target);
	if (target_entry) {
		profile = task__profile(target_entry, event.header.program_version);
		rules = bpf_map_lookup_elem(&profiles, &profile);
	}
	if (answer == SIGNAL_SPARED)
		event.header.action = HG_ACTION_SPARED;
	emit__output(&event.header, sizeof(event), rules && (rules->acts_urgent & bit));
	return 0;
}
