/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What most acts that somebody wants are asked about first: a few words of their profile. They stand in a table by the profile's last bits,
 * which costs less than its entry in `profiles`; where the place is another profile's, in that entry.
 */
#ifndef HULLGUARD_FILTER_BPF_H
#define HULLGUARD_FILTER_BPF_H

#include "task.bpf.h"

_Static_assert((HG_FILTERS & (HG_FILTERS - 1)) == 0, "a place is the last bits of an id");

/* NULL: the profile is gone. */
static __always_inline const struct map_filter *filter__of(__u32 profile)
{
	__u32 place = profile & (HG_FILTERS - 1);
	const struct map_filter *filter = bpf_map_lookup_elem(&filters, &place);
	const struct map_profile *rules;

	if (filter && filter->profile == profile)
		return filter;
	rules = bpf_map_lookup_elem(&profiles, &profile);
	return rules ? &rules->filter : NULL;
}

#endif
