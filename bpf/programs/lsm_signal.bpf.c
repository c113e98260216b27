/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Signals that end a process, refused before they are sent: attached while a signal rule denies or kills.
 *   task_kill  check_kill_permission(), once for each process that a call reaches, after the kernel itself has found that the sender
 *              may; not for signals that the kernel sends
 * The rules are those of the target's container. The sender can be any process of the host but its init and the agent; it is killed
 * only where it is in a container itself, else refused alone.
 * May hold the lock of the list of tasks (kill(-1)): nothing here sleeps.
 */

/* Those that end no process by default (docs/policy-language.md, src/agent/event/signals.ts). Numbers of x86-64 and arm64. */
static __always_inline bool signal__is_terminating(int sig)
{
	const __u64 sparing = 1ULL << 17 /* CHLD */ | 1ULL << 18 /* CONT */ | 1ULL << 19 /* STOP */ |
			      1ULL << 20 /* TSTP */ | 1ULL << 21 /* TTIN */ | 1ULL << 22 /* TTOU */ |
			      1ULL << 23 /* URG */ | 1ULL << 28 /* WINCH */;

	return sig > 0 && (sig > 63 || !(sparing >> sig & 1));
}

/* Is the task in a call that sends signals? Whatever else makes them comes from the kernel. */
static __always_inline bool signal__is_call(struct ev_call *call, const struct task_struct *task)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs((struct task_struct *)task);
	__u32 nr = syscall__nr(regs), index;
	struct map_recipe *recipe;

	call->abi = syscall__abi(task, &nr);
	call->nr = nr;
	if (nr >= HG_SYSCALLS_MAX)
		return false;
	index = call->abi * HG_SYSCALLS_MAX + nr;
	recipe = bpf_map_lookup_elem(&recipes, &index);
	if (!recipe || recipe->act != HG_ACT_SIGNAL)
		return false;
	syscall__read_args(regs, call->abi, call->args);
	return true;
}

/* What the entries say of the sender: user, group, executable. */
static __always_inline void signal__gather(__u32 slot, struct scratch *scratch, const struct task_struct *task,
					   __u32 profile)
{
	struct file *exe = KERNEL_READ(task, mm, exe_file);
	__u32 length;

	scratch->said = said__number(said__owner(profile, HG_SAID_USER), KERNEL_READ(task, cred, euid.val)) |
			said__number(said__owner(profile, HG_SAID_GROUP), KERNEL_READ(task, cred, egid.val));
	if (!exe)
		return;
	length = decision__append_path(slot, &scratch->call, 0, (__u64)KERNEL_READ(exe, f_path.dentry),
				       (__u64)KERNEL_READ(exe, f_path.mnt));
	said__text(slot, said__owner(profile, HG_SAID_EXE), 0, length, true);
}

/* What becomes of a signal whose sender may not be killed here: it is refused at most. */
static __always_inline __u8 signal__refuse_only(const struct map_profile *rules, __u32 profile, __u64 acting,
						__u64 root_id)
{
	if (!acting)
		return HG_ACTION_NONE;
	return verdict__within_budget(rules, profile, acting, root_id) ? HG_ACTION_DENIED : HG_ACTION_SPARED;
}

/* Is this signal refused? Then it is reported. scratch->call was begun and has its target; `root_id`: of the target's container. */
__noinline int signal__judge(__u32 slot, __u64 root_id, __u32 may_kill)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct task_struct *task = bpf_get_current_task_btf();
	const struct map_said_rules *said;
	struct map_profile *rules;
	struct ev_call *call;
	__u64 acting;
	__u32 profile;

	if (!scratch)
		return 0;
	call = &scratch->call;
	profile = call->header.profile;
	rules = bpf_map_lookup_elem(&profiles, &profile);
	said = said__rules(profile, HG_SAID_SIGNAL);
	if (!rules || !said)
		return 0;
	signal__gather(slot, scratch, task, profile);
	if (call->flags & HG_CALL_PATH_TRUNCATED)
		return 0;
	said__judge(slot, profile, HG_SAID_SIGNAL);
	acting = decision__weigh(&call->header, rules, said->rules, scratch->result.violated);
	call->flags |= HG_CALL_DECISION;
	if (!decision__act(call, may_kill ? verdict__refuse(rules, profile, acting, root_id) :
					    signal__refuse_only(rules, profile, acting, root_id)))
		return 0;
	call__output(slot, 0);
	return 1;
}

/* Is it sent with another's credentials, as drivers do? The argument is read as a number: newer verifiers take a pointer of a hook for
 * one that is never NULL, and drop the test of it. */
static __always_inline bool signal__has_cred(const unsigned long long *args)
{
	__u64 cred = 0;

	bpf_probe_read_kernel(&cred, sizeof(cred), &args[3]);
	return cred != 0;
}

SEC("lsm/task_kill")
int BPF_PROG(on_task_kill, struct task_struct *target, struct kernel_siginfo *info, int sig, const struct cred *cred,
	     int ret)
{
	struct decision decision = {.task = bpf_get_current_task_btf()};
	struct map_cgroup *entry = NULL;
	const struct map_said_rules *said;
	struct task_state *target_state;
	struct scratch *scratch;
	bool is_refused = false;
	__u32 slot;

	if (ret || !signal__is_terminating(sig) || target->tgid == decision.task->tgid || signal__has_cred(ctx))
		return ret;
	target_state = task__state(target->group_leader);
	if (!target_state)
		return 0;
	decision.state = task__state(decision.task->group_leader);
	/* The sender may be refused, the target's container is a confirmed one. */
	if (!decision__find_rules(&decision, task__cgroup_entry(target_state->home)))
		return 0;
	said = said__rules(decision.profile, HG_SAID_SIGNAL);
	if (!said || !decision__may_act(&decision, said->rules))
		return 0;
	if (decision.state)
		entry = task__cgroup_entry(decision.state->home);
	slot = decision__begin(&decision);
	if (!slot)
		return 0;
	scratch = bpf_map_lookup_elem(&scratches, &slot);
	if (scratch) {
		scratch->call.act = HG_ACT_SIGNAL;
		scratch->call.fd = -1;
		scratch->call.facts[0] = sig;
		scratch->call.target_pid = target->tgid;
		scratch->call.target_start_ns = KERNEL_READ(target, group_leader, start_boottime);
		scratch->call.target_cgroup_id = target_state->home;
		if (signal__is_call(&scratch->call, decision.task))
			is_refused = signal__judge(slot, decision.entry->root_id,
						   verdict__may_act(decision.settings, entry, decision.task->tgid));
	}
	return decision__end(slot, is_refused);
}
