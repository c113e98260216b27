/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which acts are reported by who acts (docs/decisions/0030): by the effective user that the event tells, and so before anything of the
 * act is read.
 */
#ifndef HULLGUARD_USER_BPF_H
#define HULLGUARD_USER_BPF_H

#include "filter.bpf.h"

/* Is the act wanted of this user? */
static __always_inline bool user__is_wanted(const struct map_profile *rules, __u32 act, __u32 uid)
{
	__u64 acts = ~0ULL;

	if (!(rules->filter.acts_by_user >> (act & 63) & 1))
		return true;
	for (__u32 i = 0; i < HG_USER_RANGES; i++) {
		if (i >= rules->users_count || uid < rules->users[i].from)
			break;
		acts = rules->users[i].acts;
	}
	return acts >> (act & 63) & 1;
}

/* By the profile that is in force for the act. Not inlined: what they answer would be one more branch of all that follows. */
__noinline int user__is_act_wanted_of(__u32 profile, __u32 act, __u32 uid)
{
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);

	return !rules || user__is_wanted(rules, act, uid);
}

/* Is it of the current task's? */
static __always_inline bool user__is_current_wanted(const struct map_filter *filter, __u32 profile, __u32 act)
{
	return !(filter->acts_by_user >> (act & 63) & 1) ||
	       user__is_act_wanted_of(profile, act, KERNEL_READ(bpf_get_current_task_btf(), cred, euid.val));
}

__noinline int user__is_act_wanted(__u32 profile, __u32 act)
{
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);

	return !rules || user__is_wanted(rules, act, KERNEL_READ(bpf_get_current_task_btf(), cred, euid.val));
}

#endif
