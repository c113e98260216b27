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

/* Is this act on a file to be reported, as far as registers, the kernel's own objects and the program's strings by themselves
 * tell? Leaves the arguments in call->args. */
static __always_inline bool call__is_file_act_wanted(__u32 slot, struct ev_call *call, const struct pt_regs *regs,
						     __u32 abi, __u32 nr, const struct map_recipe *recipe,
						     __u32 profile, long result)
{
	__u64 flags;

	syscall__read_args(regs, abi, call->args);
	if (recipe->act != HG_ACT_OPEN) {
		call->act = recipe->act;
		call->result = result;
		call->flags = HG_CALL_HAS_RESULT;
		call->nr = nr;
		if (recipe->fd_arg)
			return file_act__is_wanted_of_fd(slot, profile, call__arg(call, recipe->fd_arg));
		return file_act__is_wanted(slot, profile, call__arg(call, recipe->path_arg),
					   recipe->flags & HG_RECIPE_RAW2 ? 0 : call__arg(call, recipe->path2_arg));
	}
	if (recipe->flags & HG_RECIPE_OPEN_HOW)
		flags = OPEN_FLAGS_UNKNOWN;
	else
		flags = recipe->address_arg ? (__u32)call__arg(call, recipe->address_arg) : CREAT_FLAGS;
	return open__is_wanted(slot, profile, result, flags, call__arg(call, recipe->path_arg));
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	__u32 slot = bpf_get_smp_processor_id(), nr = syscall__nr(regs), abi = syscall__abi(task, &nr), index;
	struct map_cgroup *entry = NULL;
	struct map_control *settings;
	struct map_recipe *recipe;
	struct task_state *state;
	struct scratch *scratch;
	__u32 profile, version;
	__u64 bit, aggregated;
	bool is_spared;

	if (nr >= HG_SYSCALLS_MAX)
		return 0;
	index = abi * HG_SYSCALLS_MAX + nr;
#if defined(__TARGET_ARCH_x86)
	if (abi == SYSCALL_IA32 && nr == NR_IA32_SOCKETCALL)
		index = HG_ABIS * HG_SYSCALLS_MAX + (regs->bx & 31);
#endif
	recipe = bpf_map_lookup_elem(&recipes, &index);
	if (!recipe || !recipe->act)
		return 0;
	state = task__state(task);
	if (!state && task->pid != task->tgid)
		state = task__state(task->group_leader);
	if (state)
		entry = task__cgroup_entry(state->home);
	settings = emit__control();
	if (!settings)
		return 0;
	bit = 1ULL << (recipe->act & 63);
	if (!((entry ? entry->acts : settings->acts_host) & bit) || task->tgid == settings->agent_pid)
		return 0;
	is_spared = call__take_spared(task, nr);
	scratch = bpf_map_lookup_elem(&scratches, &slot);
	if (!scratch) {
		emit__count_drop(HG_DROP_SCRATCH, HG_KIND_CALL);
		return 0;
	}
	scratch->walked_file = 0;
	version = settings->version;
	profile = entry ? task__profile(entry, version) : 0;
	if (profile && !is_spared && file_act__is_one(recipe->act) &&
	    !call__is_file_act_wanted(slot, &scratch->call, regs, abi, nr, recipe, profile, result))
		return 0;
	call__begin(scratch, task, state, profile, version);
	if (is_spared)
		scratch->call.header.action = HG_ACTION_SPARED;
	if (state && (bit & CAP_ACTS))
		scratch->call.cap_gained = task__follow_caps(state, task);
	scratch->call.act = recipe->act;
	scratch->call.nr = nr;
	scratch->call.abi = abi;
	scratch->call.result = result;
	scratch->call.flags = HG_CALL_HAS_RESULT;
	syscall__read_args(regs, abi, scratch->call.args);
	if (recipe->flags & HG_RECIPE_ARGS_POINTER) {
		__u32 words[6] = {};
		__u64 from = nr == NR_IA32_SOCKETCALL ? scratch->call.args[1] : scratch->call.args[0];

		/* Of socketcall, the last ones may lie beyond what the program has: then only the first three are there. */
		if (bpf_probe_read_user(words, sizeof(words), (void *)from) &&
		    bpf_probe_read_user(words, 12, (void *)from))
			emit__count_drop(HG_DROP_HELPER, HG_KIND_CALL);
		scratch->call.facts[3] = nr == NR_IA32_SOCKETCALL ? scratch->call.args[0] : 0;
		for (int i = 0; i < 6; i++)
			scratch->call.args[i] = words[i];
		scratch->call.flags |= HG_CALL_USER_MEMORY;
	}
	if (!call__is_of_interest(&scratch->call))
		return 0;
	call__place_open_flags(&scratch->call, recipe);
	aggregated = entry ? entry->acts_aggregated : settings->acts_host_aggregated;
	call__report(slot, index, !!(aggregated & bit));
	return 0;
}
