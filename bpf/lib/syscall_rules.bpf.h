/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules about system calls by their names, and the set of calls that a container uses. Most calls are judged when they end, where the hook
 * is that acts need as well; when they begin, those that a rule would kill for and those that do not end where they began
 * (src/respond/lower-syscall.ts says which; docs/decisions/0032).
 */
#ifndef HULLGUARD_SYSCALL_RULES_BPF_H
#define HULLGUARD_SYSCALL_RULES_BPF_H

#include "emit.bpf.h"
#include "syscall.bpf.h"
#include "verdict.bpf.h"

/* When a call is judged. */
enum syscall_when { SYSCALL_ENTRY, SYSCALL_END, SYSCALL_THREAD_END };

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

/* Tells of the call that the task is in, if it is one that its container's rules are about, or the first of its kind. `nr`: without the
 * x32 marker, below HG_SYSCALLS_MAX. `result`: at its end; `is_rolled_back`: there was no call, and so no result. */
static __always_inline void syscall__judge(struct task_struct *task, __u32 nr, __u32 abi, enum syscall_when when,
					   long result, bool is_rolled_back)
{
	struct map_syscall_rules *rules;
	struct map_syscall_key key = {};
	struct map_control *settings;
	struct ev_syscall event = {};
	struct map_profile *profile;
	struct task_state *state;
	struct map_cgroup *entry;
	__u32 word = (nr / 64) & (HG_SYSCALL_WORDS - 1);
	__u64 bit = 1ULL << (nr & 63), at_end;

	state = task__state(task);
	if (!state && task->pid != task->tgid)
		state = task__state(task->group_leader);
	if (!state || state->phase == HG_PHASE_SETUP)
		return;
	entry = task__cgroup_entry(state->home);
	if (!entry || !(entry->want & (HG_WANT_SYSCALL_FIRST | HG_WANT_SYSCALL_RULES)))
		return;
	settings = emit__control();
	key.profile = settings ? task__profile(entry, settings->version) : 0;
	key.abi = abi;
	if (when == SYSCALL_ENTRY && (entry->want & HG_WANT_SYSCALL_FIRST) &&
	    syscall__first_use(entry->root_id, abi, nr))
		event.flags |= HG_SYSCALL_FIRST;
	rules = entry->want & HG_WANT_SYSCALL_RULES ? bpf_map_lookup_elem(&syscall_rules, &key) : NULL;
	if (rules) {
		at_end = entry->want & HG_WANT_SYSCALLS_AT_ENTRY ? 0 : rules->at_end[word];
		if (rules->outside[word] & (when == SYSCALL_ENTRY ? ~at_end : at_end) & bit)
			event.flags |= HG_SYSCALL_OUTSIDE;
	}
	if (!event.flags)
		return;
	emit__header(&event.header, HG_KIND_SYSCALL, sizeof(event), task);
	event.header.cgroup_id = state->home;
	event.header.profile = key.profile;
	event.header.rung = HG_RUNG_SYSCALL;
	event.nr = nr;
	event.abi = abi;
	if (when == SYSCALL_END && !is_rolled_back) {
		event.flags |= HG_SYSCALL_RETURNED;
		event.result = result;
	}
	if (when == SYSCALL_THREAD_END)
		event.flags |= HG_SYSCALL_ENDED_THREAD;
	if (when == SYSCALL_ENTRY && (event.flags & HG_SYSCALL_OUTSIDE)) {
		profile = bpf_map_lookup_elem(&profiles, &key.profile);
		if (profile && rules && (rules->kill_mask[word] & bit) &&
		    verdict__may_act(settings, entry, event.header.pid))
			event.header.action =
				verdict__kill(profile, key.profile, profile->syscall_rules, entry->root_id);
	}
	emit__output(&event.header, sizeof(event), event.flags & HG_SYSCALL_OUTSIDE);
}

#endif
