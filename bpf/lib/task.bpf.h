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
		return KERNEL_READ(css, cgroup, kn, id);
	}
	return KERNEL_READ(set, dfl_cgrp, kn, id);
}

static __always_inline __u64 task__cgroup_id(const struct task_struct *task)
{
	return task__css_set_cgroup_id(KERNEL_READ(task, cgroups));
}

static __always_inline __u32 task__mnt_ns(const struct task_struct *task)
{
	return KERNEL_READ(task, nsproxy, mnt_ns, ns.inum);
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

#define MKDEV_MINOR_BITS 20 /* include/linux/kdev_t.h */

/* dev_t is major:20 bits minor; stat(2) and /proc show new_encode_dev(). */
static __always_inline __u32 task__encode_dev(__u32 dev)
{
	__u32 major = dev >> MKDEV_MINOR_BITS, minor = dev & ((1U << MKDEV_MINOR_BITS) - 1);

	return (minor & 0xff) | (major << 8) | ((minor & ~0xffU) << 12);
}

/* As tty_devnum() of drivers/tty: 0 for a process without a controlling terminal. */
static __always_inline __u32 task__tty(const struct task_struct *task)
{
	struct tty_struct *tty = KERNEL_READ(task, signal, tty);

	if (!tty)
		return 0;
	return task__encode_dev(((__u32)KERNEL_READ(tty, driver, major) << MKDEV_MINOR_BITS) +
				KERNEL_READ(tty, driver, minor_start) + KERNEL_READ(tty, index));
}

/* The number of `pid` at a level of the pid namespaces; 0 where it has none there. */
static __always_inline __u32 task__pid_at(const struct pid *pid, __u32 level)
{
	__u32 nr = 0;

	if (!pid || KERNEL_READ(pid, level) < level)
		return 0;
	bpf_probe_read_kernel(&nr, sizeof(nr),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      (__u64)level * bpf_core_type_size(struct upid));
	return nr;
}

static __always_inline __u64 task__read_caps(const struct cred *cred, __u32 offset_bytes)
{
	__u64 caps = 0;

	bpf_probe_read_kernel(&caps, sizeof(caps), (void *)cred + offset_bytes);
	return caps;
}

/* Process id in the task's own pid namespace. */
static __always_inline __u32 task__vpid(const struct task_struct *task)
{
	return task__pid_at(KERNEL_READ(task, signal, pids[PIDTYPE_TGID]), KERNEL_READ(task, thread_pid, level));
}

static __always_inline void task__read_facts(struct process_facts *out, const struct task_struct *task)
{
	const struct cred *cred = KERNEL_READ(task, cred);
	__u32 level = KERNEL_READ(task, thread_pid, level);

	out->cap_permitted = task__read_caps(cred, bpf_core_field_offset(struct cred, cap_permitted));
	out->cap_effective = task__read_caps(cred, bpf_core_field_offset(struct cred, cap_effective));
	out->cap_inheritable = task__read_caps(cred, bpf_core_field_offset(struct cred, cap_inheritable));
	out->loginuid = ~0U;
	if (bpf_core_field_exists(task->loginuid))
		out->loginuid = KERNEL_READ(task, loginuid.val);
	out->tty = task__tty(task);
	out->vpid = task__pid_at(KERNEL_READ(task, signal, pids[PIDTYPE_TGID]), level);
	out->vpgid = task__pid_at(KERNEL_READ(task, signal, pids[PIDTYPE_PGID]), level);
	out->sid = task__pid_at(KERNEL_READ(task, signal, pids[PIDTYPE_SID]), level);
	out->reserved = 0;
}

static __always_inline __u64 task__permitted(const struct task_struct *task)
{
	return task__read_caps(KERNEL_READ(task, cred), bpf_core_field_offset(struct cred, cap_permitted));
}

/*
 * Takes over what the task is permitted now. Returns what it was not permitted when last looked at: nothing where that never
 * was. Permitted, not effective: what is permitted can be made effective at any time. More is permitted only by exec, by a new
 * user namespace and by entering one (capabilities(7)); less also by setuid and capset, which are followed while
 * somebody wants these acts.
 */
static __always_inline __u64 task__follow_caps(struct task_state *state, const struct task_struct *task)
{
	__u64 permitted = task__permitted(task), gained = permitted & state->cap_lacking;

	state->cap_lacking = ~permitted;
	return gained;
}

#define OVERLAYFS_SUPER_MAGIC 0x794c7630 /* linux/magic.h */

/* Of an inode of overlayfs: struct ovl_inode (fs/overlayfs/ovl_entry.h) has its upper dentry right behind the VFS inode. */
static __always_inline bool task__is_upper_layer(const struct inode *inode)
{
	void *upper = NULL;

	if (KERNEL_READ(inode, i_sb, s_magic) != OVERLAYFS_SUPER_MAGIC)
		return false;
	bpf_probe_read_kernel(&upper, sizeof(upper), (void *)inode + bpf_core_type_size(struct inode));
	return upper != NULL;
}

/* For hooks in which task storage may be read: the state of `leader`, or NULL for an unwatched process. */
static __always_inline struct task_state *task__state(struct task_struct *leader)
{
	return bpf_task_storage_get(&tasks, leader, 0, 0);
}

/* As emit__count_loss(), of whose owner only the home is at hand. */
__noinline int task__count_loss(__u64 home, __u32 cause, __u32 kind)
{
	struct map_cgroup *entry = task__cgroup_entry(home);
	struct map_control *settings = emit__control();

	return emit__count_loss(home, entry && settings ? task__profile(entry, settings->version) : 0, cause, kind);
}

/* As emit__lose(). */
static __always_inline void task__lose(__u64 home, enum hg_drop cause, enum hg_kind kind)
{
	emit__number();
	task__count_loss(home, cause, kind);
}

/* `home`: whose it is in any case, should there be no room for it. */
static __always_inline struct task_state *task__make_state(struct task_struct *leader, __u64 home, enum hg_kind kind)
{
	struct task_state *state = bpf_task_storage_get(&tasks, leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!state)
		task__count_loss(home, HG_DROP_TASKS_FULL, kind);
	return state;
}

#endif
