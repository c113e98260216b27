/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbering, header and output of events. Every attempt takes its CPU's number before it asks for room, so a reader finds
 * each lost event as a hole in the place where it is missing.
 */
#ifndef HULLGUARD_EMIT_BPF_H
#define HULLGUARD_EMIT_BPF_H

#include "maps.bpf.h"

static __always_inline void emit__count_drop(enum hg_drop cause, enum hg_kind kind)
{
	__u32 key = cause * HG_KIND_MAX + kind;
	__u64 *count = bpf_map_lookup_elem(&drops, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* A loss of an event whose owner is known. Rare by nature, so it may cost a look-up more. */
__noinline int emit__count_loss(__u64 cgroup_id, __u32 profile, __u32 cause, __u32 kind)
{
	struct map_loss_key key = {.cgroup_id = cgroup_id, .profile = profile, .cause = cause, .kind = kind};
	__u64 one = 1, *count;

	emit__count_drop(cause, kind);
	count = bpf_map_lookup_elem(&losses, &key);
	if (!count) {
		if (bpf_map_update_elem(&losses, &key, &one, BPF_NOEXIST) == 0)
			return 0;
		count = bpf_map_lookup_elem(&losses, &key);
	}
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

/* A part of an event could not be read; the header says whose the event is. */
static __always_inline void emit__count_unread(const struct ev_header *header, enum hg_kind kind)
{
	emit__count_loss(header->cgroup_id, header->profile, HG_DROP_HELPER, kind);
}

static __always_inline struct map_control *emit__control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* The number of this CPU's next attempt. Atomic although per CPU: some hooks can be preempted between the read and the write. */
static __always_inline __u64 emit__number(void)
{
	__u32 zero = 0;
	__u64 *sequence = bpf_map_lookup_elem(&sequences, &zero);

	return sequence ? __sync_fetch_and_add(sequence, 1) + 1 : 0;
}

/* Counts an attempt that is lost before there is an event of it: its number is the hole in its place. */
static __always_inline void emit__lose(__u64 cgroup_id, __u32 profile, enum hg_drop cause, enum hg_kind kind)
{
	emit__number();
	emit__count_loss(cgroup_id, profile, cause, kind);
}

/* Fills all but cgroup_id, profile, verdict and action. `leader` and `task` may be probe-read pointers. */
static __always_inline void emit__header(struct ev_header *header, enum hg_kind kind, __u32 size_bytes,
					 const struct task_struct *task)
{
	struct map_control *settings = emit__control();

	header->size_bytes = size_bytes;
	header->kind = kind;
	header->phase = HG_PHASE_RUN;
	header->action = HG_ACTION_NONE;
	header->cpu = bpf_get_smp_processor_id();
	header->program_version = settings ? settings->version : 0;
	header->cpu_seq = emit__number();
	header->boot_ns = bpf_ktime_get_boot_ns();
	header->cgroup_id = 0;
	header->start_ns = KERNEL_READ(task, group_leader, start_boottime);
	header->pid = KERNEL_READ(task, tgid);
	header->tid = KERNEL_READ(task, pid);
	header->uid = KERNEL_READ(task, cred, euid.val);
	header->gid = KERNEL_READ(task, cred, egid.val);
	header->profile = 0;
	header->rung = HG_RUNG_TRACEPOINT;
	header->decided = 0;
	header->violated = 0;
}

/* Both are mapped by the reader, which batches unless one has moved. */
__u64 urgent_events_count = 0;
__u64 killed_exits_count = 0;

enum emit_haste {
	EMIT_BATCHED,
	EMIT_SOON,   /* the end of a process that was killed */
	EMIT_URGENT, /* user space has to act */
};

/* The reader sleeps a little after each wake-up to batch, and a ring that fills wakes it at once. Else the kernel wakes only
 * for the first event in an empty ring. */
static __always_inline __u64 emit__wake_flags(__u64 waiting_bytes, __u32 wake_bytes, enum emit_haste haste,
					      __u32 size_bytes)
{
	/* Once at each quarter of the ring, not for every event beyond the first. */
	if (haste == EMIT_URGENT || (waiting_bytes + size_bytes) / wake_bytes != waiting_bytes / wake_bytes)
		__sync_fetch_and_add(&urgent_events_count, 1);
	else if (haste == EMIT_SOON)
		__sync_fetch_and_add(&killed_exits_count, 1);
	else
		return 0;
	return BPF_RB_FORCE_WAKEUP;
}

#define CRITICAL_KINDS                                                                                                 \
	(1U << HG_KIND_EXEC | 1U << HG_KIND_FORK | 1U << HG_KIND_EXIT | 1U << HG_KIND_OOM |                            \
	 1U << HG_KIND_CGROUP_MKDIR | 1U << HG_KIND_CGROUP_RMDIR | 1U << HG_KIND_CGROUP_JOIN)

/* Events that a flood of others must not push out. */
static __always_inline bool emit__is_critical(const struct ev_header *header)
{
	return (header->kind < 32 && (CRITICAL_KINDS >> header->kind & 1)) || header->action != HG_ACTION_NONE ||
	       header->violated != 0;
}

/* size_bytes is bounded by the caller for the verifier. A full ring is counted; an action that then goes unreported, twice. */
static __always_inline void emit__output_in(struct ev_header *header, __u32 size_bytes, enum emit_haste haste)
{
	__u64 cgroup_id = header->cgroup_id, waiting_bytes;
	__u32 profile = header->profile;
	__u16 kind = header->kind;
	__u8 action = header->action;
	long error;

	if (emit__is_critical(header)) {
		waiting_bytes = bpf_ringbuf_query(&critical, BPF_RB_AVAIL_DATA);
		error = bpf_ringbuf_output(&critical, header, size_bytes,
					   emit__wake_flags(waiting_bytes, cfg_critical_wake_bytes, haste, size_bytes));
	} else {
		waiting_bytes = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
		error = bpf_ringbuf_output(&events, header, size_bytes,
					   emit__wake_flags(waiting_bytes, cfg_wake_bytes, haste, size_bytes));
	}
	if (error == 0)
		return;
	emit__count_loss(cgroup_id, profile, HG_DROP_RING_FULL, kind);
	if (action != HG_ACTION_NONE)
		emit__count_loss(cgroup_id, profile, HG_DROP_UNREPORTED_ACTION, kind);
}

/* What was killed for waits for company like anything else, at most until the process has ended: a wake-up of its own would take the CPU that
 * the process needs to end. */
static __always_inline void emit__output(struct ev_header *header, __u32 size_bytes, bool urgent)
{
	emit__output_in(header, size_bytes, urgent && header->action != HG_ACTION_KILLED ? EMIT_URGENT : EMIT_BATCHED);
}

#endif
