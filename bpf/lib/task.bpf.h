/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which container a task belongs to. A process that no policy watches has no storage: one lookup and out.
 *
 * INVARIANT: home names the cgroup through which the process joined its container. A process that moves itself out of the
 * container's cgroups keeps its home; one that moves within the container takes the new cgroup as home.
 */
#ifndef HULLGUARD_TASK_BPF_H
#define HULLGUARD_TASK_BPF_H

#include "emit.bpf.h"

/* Set once a process has ever left its container's cgroups: until then `moved` is empty and need not be asked. */
__u32 any_process_moved = 0;

static __always_inline __u64 task__css_set_cgroup_id(struct css_set *set)
{
	if (cfg_use_memory_css) {
		int index = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
		struct cgroup_subsys_state *css = NULL;

		bpf_probe_read_kernel(&css, sizeof(css),
				      (void *)set + bpf_core_field_offset(struct css_set, subsys) +
					      index * sizeof(css));
		return BPF_CORE_READ(css, cgroup, kn, id);
	}
	return BPF_CORE_READ(set, dfl_cgrp, kn, id);
}

static __always_inline __u64 task__cgroup_id(const struct task_struct *task)
{
	return task__css_set_cgroup_id(BPF_CORE_READ(task, cgroups));
}

static __always_inline __u32 task__mnt_ns(const struct task_struct *task)
{
	return BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
}

static __always_inline struct map_cgroup *task__cgroup_entry(__u64 cgroup_id)
{
	return bpf_map_lookup_elem(&cgroups, &cgroup_id);
}

/* The profile in force for a cgroup: the entry's slot of the parity of the version that the event's header took. */
static __always_inline __u32 task__profile(const struct map_cgroup *entry, __u32 program_version)
{
	return program_version & 1 ? entry->profile[1] : entry->profile[0];
}

/* Does anyone want events of this class from this task? Fills the header's home and profile. `entry` may be NULL: host. */
static __always_inline bool task__wanted(const struct map_cgroup *entry, enum hg_want want)
{
	struct map_control *settings;

	if (entry)
		return entry->want & want;
	settings = emit__control();
	return settings && (settings->want_host & want);
}

/* For hooks in which task storage may be read: the state of `leader`, or NULL for an unwatched process. */
static __always_inline struct task_state *task__state(struct task_struct *leader)
{
	return bpf_task_storage_get(&tasks, leader, 0, 0);
}

static __always_inline struct task_state *task__make_state(struct task_struct *leader, enum hg_kind kind)
{
	struct task_state *state = bpf_task_storage_get(&tasks, leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!state)
		emit__count_drop(HG_DROP_TASKS_FULL, kind);
	return state;
}

#endif
