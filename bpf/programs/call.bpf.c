/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Acts that are syscalls, at their end: the result is known, and what the call was about is read from the kernel's own objects
 * (docs/decisions/0008). Attached only while somebody wants an act that it shows:
 *   sys_exit: syscall_exit_work() -> trace_sys_exit(), for every syscall of the host; one array lookup when nobody wants it.
 * What a syscall is and where its arguments stand is said by `recipes`, which user space fills by name for each ABI.
 *
 * Fail direction: what cannot be read is left empty; an event that finds no room is counted.
 */
#define NR_IA32_SOCKETCALL 102
#define CAP_ACTS (1ULL << HG_ACT_SETUID | 1ULL << HG_ACT_CAPSET | 1ULL << HG_ACT_SETNS | 1ULL << HG_ACT_UNSHARE)

/* A call at its end, as far as it is known without scratch. */
struct call_end {
	struct map_recipe *recipe;
	struct map_control *settings;
	struct task_state *state; /* NULL: the host's */
	struct map_cgroup *entry; /* … */
	__u32 index;		  /* of the recipe */
	__u32 nr;
	__u32 abi;
	bool is_spared;
};

/* Is the call that the task is in wanted by anybody, of this hook? `by_function`: HG_RECIPE_BY_FUNCTION, or 0. */
static __always_inline bool call__find(struct call_end *end, struct task_struct *task, const struct pt_regs *regs,
				       __u8 by_function)
{
	__u64 wanted;

	end->nr = syscall__nr(regs);
	end->abi = syscall__abi(task, &end->nr);
	if (end->nr >= HG_SYSCALLS_MAX)
		return false;
	end->index = end->abi * HG_SYSCALLS_MAX + end->nr;
#if defined(__TARGET_ARCH_x86)
	if (end->abi == SYSCALL_IA32 && end->nr == NR_IA32_SOCKETCALL)
		end->index = HG_ABIS * HG_SYSCALLS_MAX + (regs->bx & 31);
#endif
	end->recipe = bpf_map_lookup_elem(&recipes, &end->index);
	if (!end->recipe || !end->recipe->act || (end->recipe->flags & HG_RECIPE_BY_FUNCTION) != by_function)
		return false;
	end->state = task__state(task);
	if (!end->state && task->pid != task->tgid)
		end->state = task__state(task->group_leader);
	end->entry = end->state ? task__cgroup_entry(end->state->home) : NULL;
	end->settings = emit__control();
	if (!end->settings || task->tgid == end->settings->agent_pid)
		return false;
	wanted = end->entry ? end->entry->acts : end->settings->acts_host;
	if (!(wanted & (1ULL << (end->recipe->act & 63))))
		return false;
	end->is_spared = call__take_spared(task, end->nr);
	return true;
}

/* What openat2 was asked for. Read by an instruction of its own: the verifier wants each to know the kind of its pointer. */
static __always_inline __u64 call__how_flags(const struct open_how *how)
{
	__u64 flags = how->flags;

	OPAQUE(flags);
	return flags & ~(__u64)O_LARGEFILE;
}

/* Is this act on a file to be reported, as far as registers, the kernel's own objects and the program's strings by themselves
 * tell? Leaves the arguments in call->args. `how`: what openat2 was asked for, 0 where only the program's memory has it. */
static __always_inline bool call__is_file_act_wanted(__u32 slot, struct ev_call *call, const struct pt_regs *regs,
						     const struct call_end *end, __u32 profile, long result,
						     const struct open_how *how)
{
	const struct map_recipe *recipe = end->recipe;
	__u64 flags;

	syscall__read_args(regs, end->abi, call->args);
	if (recipe->act != HG_ACT_OPEN) {
		call->act = recipe->act;
		call->result = result;
		call->flags = HG_CALL_HAS_RESULT;
		call->nr = end->nr;
		if (recipe->fd_arg)
			return file_act__is_wanted_of_fd(slot, profile, call__arg(call, recipe->fd_arg));
		return file_act__is_wanted(slot, profile, call__arg(call, recipe->path_arg),
					   recipe->flags & HG_RECIPE_RAW2 ? 0 : call__arg(call, recipe->path2_arg));
	}
	if (recipe->flags & HG_RECIPE_OPEN_HOW)
		flags = how ? call__how_flags(how) : OPEN_FLAGS_UNKNOWN;
	else
		flags = recipe->address_arg ? (__u32)call__arg(call, recipe->address_arg) : CREAT_FLAGS;
	return open__is_wanted(slot, profile, result, flags, call__arg(call, recipe->path_arg));
}

/* ia32: arguments that stand in user memory. */
static __always_inline void call__follow_arguments(struct ev_call *call, __u32 nr)
{
	__u64 from = nr == NR_IA32_SOCKETCALL ? call->args[1] : call->args[0];
	__u32 words[6] = {};

	/* Of socketcall, the last ones may lie beyond what the program has: then only the first three are there. */
	if (bpf_probe_read_user(words, sizeof(words), (void *)from) && bpf_probe_read_user(words, 12, (void *)from))
		emit__count_unread(&call->header, HG_KIND_CALL);
	call->facts[3] = nr == NR_IA32_SOCKETCALL ? call->args[0] : 0;
	for (int i = 0; i < 6; i++)
		call->args[i] = words[i];
	call->flags |= HG_CALL_USER_MEMORY;
}

/* Of a call for which there is no room to work in. */
static __always_inline void call__lose(const struct task_struct *task, const struct call_end *end)
{
	task__lose(end->state ? end->state->home : task__cgroup_id(task), HG_DROP_SCRATCH, HG_KIND_CALL);
}

/* Tells of the call, or counts it as a repeat, unless nobody wants it after all. `how`: as above. */
static __always_inline void call__tell(__u32 slot, struct task_struct *task, const struct pt_regs *regs,
				       const struct call_end *end, long result, const struct open_how *how)
{
	const __u64 bit = 1ULL << (end->recipe->act & 63);
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	__u32 version = end->settings->version, profile = end->entry ? task__profile(end->entry, version) : 0;
	struct ev_call *call;
	__u64 aggregated;

	if (!scratch) {
		call__lose(task, end);
		return;
	}
	call = &scratch->call;
	scratch->walked_file = 0;
	if (profile && !end->is_spared &&
	    !(file_act__is_one(end->recipe->act) ?
		      call__is_file_act_wanted(slot, call, regs, end, profile, result, how) :
		      user__is_act_wanted(profile, end->recipe->act)))
		return;
	call__begin(scratch, task, end->state, profile, version);
	if (end->is_spared)
		call->header.action = HG_ACTION_SPARED;
	if (end->recipe->flags & HG_RECIPE_BY_FUNCTION)
		call->header.rung = HG_RUNG_FUNCTION;
	if (end->state && (bit & CAP_ACTS))
		call->cap_gained = task__follow_caps(end->state, task);
	call->act = end->recipe->act;
	call->nr = end->nr;
	call->abi = end->abi;
	call->result = result;
	call->flags = HG_CALL_HAS_RESULT;
	syscall__read_args(regs, end->abi, call->args);
	if (end->recipe->flags & HG_RECIPE_ARGS_POINTER)
		call__follow_arguments(call, end->nr);
	if (!call__is_of_interest(call))
		return;
	call__place_open_flags(call, end->recipe);
	if (how && (end->recipe->flags & HG_RECIPE_OPEN_HOW)) {
		call->facts[0] = call__how_flags(how);
		call->facts[1] = how->mode;
		call->facts[2] = how->resolve;
	}
	aggregated = end->entry ? end->entry->acts_aggregated : end->settings->acts_host_aggregated;
	call__report(slot, end->index, !!(aggregated & bit));
}

/* Functions of their own: what every call of the host passes must not save registers for what few calls come to. */
static __noinline long call__end(struct pt_regs *regs, long result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct call_end end;

	if (call__find(&end, task, regs, 0))
		call__tell(bpf_get_smp_processor_id(), task, regs, &end, result, NULL);
	return 0;
}

static __noinline long call__end_by_name(struct pt_regs *regs, long result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	__u32 nr = syscall__nr(regs), abi = syscall__abi(task, &nr);

	syscall__judge(task, nr, abi, SYSCALL_END, result, syscall__is_rolled_back(regs, result));
	return 0;
}

/* Is a rule about this call? The first test knows no ABI, so that most calls are let go without the task. */
static __always_inline bool call__has_rules(const struct pt_regs *regs, __u32 number)
{
	__u32 nr = syscall__nr(regs), abi;

	if (!syscall__is_looked_at(HG_AT_END_RULES, number))
		return false;
	abi = syscall__abi((struct task_struct *)bpf_get_current_task_btf(), &nr);
	return syscall__is_looked_at(HG_AT_END_RULES_OF + abi, nr);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long result)
{
	__u32 number = syscall__number(regs);

	if (call__has_rules(regs, number))
		call__end_by_name(regs, result);
	if (syscall__is_looked_at(HG_AT_END_ACTS, number))
		call__end(regs, result);
	return 0;
}
