/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's answer for the rules that could be lowered (src/respond/lower.ts makes the tables), and the act itself.
 *
 * Fails open: whatever is missing (map entry, budget, helper refused) leaves the act alone and the header says so; user
 * space judges every event again with the whole program and acts through a pidfd where this did not.
 */
#ifndef HULLGUARD_VERDICT_BPF_H
#define HULLGUARD_VERDICT_BPF_H

#include "path.bpf.h"
#include "task.bpf.h"

#define SIGKILL 9

struct base_search {
	const char *path; /* HG_KEY_PATH_BYTES */
	__u32 start;
};

/* Rules of the profile that are judged in this phase. */
static __always_inline __u64 verdict__judged(const struct map_profile *profile, __u64 rules, __u32 phase)
{
	return phase == HG_PHASE_SETUP ? rules & profile->setup : rules;
}

static __always_inline void verdict__merge(struct map_exec_result *sum, const struct map_exec_result *found)
{
	__u64 fresh;

	if (!found)
		return;
	fresh = found->decided & ~sum->decided;
	sum->violated |= found->violated & fresh;
	sum->decided |= fresh;
}

static long verdict__find_base(__u32 index, void *context)
{
	struct base_search *search = context;

	if (index < HG_KEY_PATH_BYTES && search->path[index] == '/')
		search->start = index + 1;
	return 0;
}

/* Makes strings[offset, offset + length) the key of the exact and of the prefix maps; of a longer path its beginning. Zero for
 * what is no key: an empty name. */
static __always_inline __u32 verdict__load_keys(struct scratch *scratch, __u32 profile, __u32 offset, __u32 length)
{
	OPAQUE(length);
	if (length == 0 || offset > EXEC_STRINGS_MAX_BYTES)
		return 0;
	if (length > HG_KEY_PATH_BYTES)
		length = HG_KEY_PATH_BYTES;
	__builtin_memset(&scratch->key, 0, sizeof(scratch->key));
	scratch->key.profile = profile;
	scratch->key.length_bytes = length;
	bpf_probe_read_kernel(scratch->key.path, length, &scratch->strings[offset]);
	__builtin_memcpy(scratch->prefix.path, scratch->key.path, sizeof(scratch->prefix.path));
	scratch->prefix.prefix_bits = (sizeof(profile) + length) * 8;
	scratch->prefix.profile = profile;
	return length;
}

/* What the tables say of the name strings[offset, offset + length), canonical and absolute; the answer is left in
 * scratch->result (nothing decided for a name as long as HG_KEY_PATH_BYTES or longer). */
__noinline int verdict__name(__u32 slot, __u32 profile, __u32 offset, __u32 length)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_exec_result sum = {};
	struct base_search search = {};
	__u32 start;

	if (!scratch)
		return -1;
	scratch->result = sum;
	OPAQUE(length);
	if (length >= HG_KEY_PATH_BYTES || !verdict__load_keys(scratch, profile, offset, length))
		return 0;
	verdict__merge(&sum, bpf_map_lookup_elem(&exec_exact, &scratch->key));
	verdict__merge(&sum, bpf_map_lookup_elem(&exec_prefix, &scratch->prefix));

	search.path = scratch->key.path;
	bpf_loop(length, verdict__find_base, &search, 0);
	start = search.start;
	OPAQUE(start);
	if (start < length && start < HG_KEY_PATH_BYTES) {
		__u32 base_length = length - start;

		OPAQUE(base_length);
		if (base_length < HG_KEY_PATH_BYTES) {
			__builtin_memset(&scratch->key, 0, sizeof(scratch->key));
			scratch->key.profile = profile;
			scratch->key.length_bytes = base_length;
			bpf_probe_read_kernel(scratch->key.path, base_length, &scratch->prefix.path[start]);
			verdict__merge(&sum, bpf_map_lookup_elem(&exec_base, &scratch->key));
		}
	}
	scratch->result = sum;
	return 0;
}

/* May the agent act on this process at all? */
static __always_inline bool verdict__may_act(const struct map_control *settings, const struct map_cgroup *entry,
					     __u32 tgid)
{
	return settings && settings->blocking && entry && entry->state == HG_CGROUP_CONTAINER && tgid > 1 &&
	       tgid != settings->agent_pid;
}

/* May one of these rules act in this container: did one of them already, or is there budget left of its policy? The lowest
 * acting rule stands for all: another policy's rule can still act from user space. `take`: it acts now. */
static __always_inline bool verdict__budget(const struct map_profile *rules, __u32 profile, __u64 acting, __u64 root_id,
					    bool take)
{
	struct map_container *container = bpf_map_lookup_elem(&containers, &root_id);
	__u32 rule, policy;
	__s64 *budget;
	__u64 *taken;

	if (!container || acting == 0)
		return false;
	if (container->profile != profile) {
		container->profile = profile;
		container->acted = 0;
	}
	if (container->acted & acting)
		return true;
	rule = 0;
#pragma unroll
	for (int shift = 32; shift > 0; shift >>= 1)
		if (!((acting >> rule) & ((1ULL << shift) - 1)))
			rule += shift;
	policy = rules->policy[rule & (HG_RULES_PER_PROFILE - 1)];
	budget = bpf_map_lookup_elem(&budgets, &policy);
	taken = bpf_map_lookup_elem(&acts_taken, &policy);
	if (!budget || !taken || (__s64)*taken >= *budget)
		return false;
	if (take) {
		if ((__s64)__sync_fetch_and_add(taken, 1) >= *budget) /* another CPU's was the last */
			return false;
		__sync_fetch_and_or(&container->acted, acting);
	}
	return true;
}

/* Takes one of the policy's acts unless a rule already acted in this container: false when the breaker's budget is spent. */
static __always_inline bool verdict__within_budget(const struct map_profile *rules, __u32 profile, __u64 acting,
						   __u64 root_id)
{
	return verdict__budget(rules, profile, acting, root_id, true);
}

/* At a hook before the act's effect in which the current task is the offender. Returns the header's action. */
static __always_inline __u8 verdict__kill(const struct map_profile *rules, __u32 profile, __u64 violated, __u64 root_id)
{
	__u64 acting = violated & rules->kill;

	if (!acting)
		return HG_ACTION_NONE;
	if (!verdict__within_budget(rules, profile, acting, root_id))
		return HG_ACTION_SPARED;
	return bpf_send_signal(SIGKILL) == 0 ? HG_ACTION_KILLED : HG_ACTION_FAILED;
}

/* At a hook that can refuse the act of the current task. Any action but NONE and SPARED: the caller returns an error. A kill
 * refuses first, so the act never happens, and then signals. */
static __always_inline __u8 verdict__refuse(const struct map_profile *rules, __u32 profile, __u64 violated,
					    __u64 root_id)
{
	__u64 acting = violated & (rules->deny | rules->kill);

	if (!acting)
		return HG_ACTION_NONE;
	if (!verdict__within_budget(rules, profile, acting, root_id))
		return HG_ACTION_SPARED;
	if (!(violated & rules->kill))
		return HG_ACTION_DENIED;
	return bpf_send_signal(SIGKILL) == 0 ? HG_ACTION_KILLED : HG_ACTION_DENIED_KILL_PENDING;
}

static __always_inline bool verdict__is_refusal(__u8 action)
{
	return action == HG_ACTION_DENIED || action == HG_ACTION_KILLED || action == HG_ACTION_DENIED_KILL_PENDING;
}

#endif
