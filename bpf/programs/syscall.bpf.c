/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The set of syscalls a container uses. Hook: sys_enter (every syscall of the host pays for it: attached only while a
 * policy's syscall rule or `--activity syscall` asks). An event at a container's first use of a call, and for each call
 * outside the allowed set of its profile. Phase setup is not counted: those are the runtime's calls. What no rule can be violated by
 * is let go before anything is asked of the task: rules name a few calls, and programs make others.
 *
 * A kill here comes at the entry of the call: the signal is taken before the task returns to user space, but the call itself
 * still runs, so the outcome is killed_after_effect.
 */
static __always_inline bool syscall__first_use(__u64 root_id, __u32 abi, __u32 nr)
{
	struct map_syscalls_seen *seen = bpf_map_lookup_elem(&syscalls_seen, &root_id);
	__u64 bit = 1ULL << (nr & 63), before;
	__u64 *word;

	if (!seen) {
		static const struct map_syscalls_seen empty;

		if (bpf_map_update_elem(&syscalls_seen, &root_id, &empty, BPF_NOEXIST) &&
		    !bpf_map_lookup_elem(&syscalls_seen, &root_id)) {
			task__count_loss(root_id, HG_DROP_SYSCALLS_FULL, HG_KIND_SYSCALL);
			return false;
		}
		seen = bpf_map_lookup_elem(&syscalls_seen, &root_id);
		if (!seen)
			return false;
	}
	if (abi >= HG_ABIS || nr >= HG_SYSCALLS_MAX)
		return false;
	word = &seen->seen[abi][nr / 64];
	if (*word & bit)
		return false;
	before = __sync_fetch_and_or(word, bit);
	return !(before & bit);
}

static __always_inline bool syscall__is_ignored(__u32 abi, __u32 nr)
{
	__u32 zero = 0, word = abi * HG_SYSCALL_WORDS + nr / 64;
	struct map_syscalls_ignored *ignored = bpf_map_lookup_elem(&syscalls_ignored, &zero);

	return ignored && word < HG_ABIS * HG_SYSCALL_WORDS && (ignored->calls[word] & (1ULL << (nr & 63)));
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long id)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct task_state *state;
	struct map_syscall_rules *rules;
	struct map_profile *profile;
	struct map_syscall_key key = {};
	struct map_cgroup *entry;
	struct map_control *settings;
	struct ev_syscall event = {};
	__u32 nr = id, abi = syscall__abi(task, &nr);
	__u64 bit;

	if (nr >= HG_SYSCALLS_MAX || syscall__is_ignored(abi, nr))
		return 0;
	state = task__state(task);
	if (!state && task->pid != task->tgid)
		state = task__state(task->group_leader);
	if (!state || state->phase == HG_PHASE_SETUP)
		return 0;
	entry = task__cgroup_entry(state->home);
	if (!entry || !(entry->want & (HG_WANT_SYSCALL_FIRST | HG_WANT_SYSCALL_RULES)))
		return 0;
	bit = 1ULL << (nr & 63);
	settings = emit__control();
	key.profile = settings ? task__profile(entry, settings->version) : 0;
	key.abi = abi;
	if ((entry->want & HG_WANT_SYSCALL_FIRST) && syscall__first_use(entry->root_id, abi, nr))
		event.flags |= HG_SYSCALL_FIRST;
	rules = entry->want & HG_WANT_SYSCALL_RULES ? bpf_map_lookup_elem(&syscall_rules, &key) : NULL;
	if (rules && (rules->outside[(nr / 64) & (HG_SYSCALL_WORDS - 1)] & bit))
		event.flags |= HG_SYSCALL_OUTSIDE;
	if (!event.flags)
		return 0;
	emit__header(&event.header, HG_KIND_SYSCALL, sizeof(event), task);
	event.header.cgroup_id = state->home;
	event.header.profile = key.profile;
	event.header.rung = HG_RUNG_SYSCALL;
	event.nr = nr;
	event.abi = abi;
	if (event.flags & HG_SYSCALL_OUTSIDE) {
		profile = bpf_map_lookup_elem(&profiles, &key.profile);
		if (profile && rules && (rules->kill_mask[(nr / 64) & (HG_SYSCALL_WORDS - 1)] & bit) &&
		    verdict__may_act(settings, entry, event.header.pid))
			event.header.action =
				verdict__kill(profile, key.profile, profile->syscall_rules, entry->root_id);
	}
	emit__output(&event.header, sizeof(event), event.flags & HG_SYSCALL_OUTSIDE);
	return 0;
}
