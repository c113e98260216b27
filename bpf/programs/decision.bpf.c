/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the hooks of the LSM share that refuse an act by the rules of a container: who asks, whether a rule may act at all, scratch to judge
 * in, the verdict, and what is left to the end of the call. Each hook says what its act is about and which rules it violates. No hooks
 * stand here.
 *
 * A hook that lets an act pass is silent: the act is told at the end of its call, with its result, and judged again in user space. So what
 * is not answered here (no scratch free, a path above PATH_MAX) passes and is found after the act.
 */

/* By whose rules an act of the current task is judged. */
struct decision {
	struct task_struct *task;
	struct task_state *state; /* of the task's process; NULL: no watched one */
	struct map_control *settings;
	struct map_cgroup *entry;
	struct map_profile *rules;
	__u32 profile;
	__u32 version;
};

/* Those of the container that a cgroup's entry is of; false: there are none. Of the decision task and state are there. */
static __always_inline bool decision__find_rules(struct decision *decision, struct map_cgroup *entry)
{
	decision->entry = entry;
	decision->settings = emit__control();
	if (!entry || !decision->settings)
		return false;
	decision->version = decision->settings->version;
	decision->profile = task__profile(entry, decision->version);
	decision->rules = bpf_map_lookup_elem(&profiles, &decision->profile);
	return decision->rules != NULL;
}

/* Those of the container that the task itself is in. */
static __always_inline bool decision__find(struct decision *decision)
{
	decision->task = bpf_get_current_task_btf();
	decision->state = task__state(decision->task->group_leader);
	return decision->state && decision__find_rules(decision, task__cgroup_entry(decision->state->home));
}

/* May one of these rules refuse or kill here? */
static __always_inline bool decision__may_act(const struct decision *decision, __u64 of_kind)
{
	const struct map_profile *rules = decision->rules;
	__u32 phase = decision->state ? decision->state->phase : HG_PHASE_RUN;

	return (verdict__judged(rules, of_kind, phase) & (rules->deny | rules->kill)) &&
	       verdict__may_act(decision->settings, decision->entry, decision->task->tgid);
}

/* A slot of scratch in which the call is begun, to be given back; 0: the act passes. */
static __always_inline __u32 decision__begin(const struct decision *decision)
{
	__u64 home = decision->state ? decision->state->home : task__cgroup_id(decision->task);
	__u32 slot = lsm__claim(home, decision->profile, HG_KIND_CALL);
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);

	if (slot && scratch)
		call__begin(scratch, decision->task, decision->state, decision->profile, decision->version);
	return slot;
}

/* Gives the slot back. What the hook answers. */
static __always_inline int decision__end(__u32 slot, bool is_refused)
{
	lsm__release(slot);
	return is_refused ? -EPERM : 0;
}

/* Appends a path at strings[offset]; adds to call.flags. Returns its length. */
static __always_inline __u32 decision__append_path(__u32 slot, struct ev_call *call, __u32 offset, __u64 dentry,
						   __u64 mnt)
{
	int start = path__walk(slot, dentry, mnt);

	if (start & PATH_TRUNCATED)
		call->flags |= HG_CALL_PATH_TRUNCATED;
	return path__append(slot, offset, start);
}

/* What this thread leaves to the end of its call, which was begun; NULL, and counted, where there is no room for it. */
static __always_inline struct deferred *decision__deferred(const struct ev_call *call)
{
	struct deferred *deferred =
		bpf_task_storage_get(&deferrals, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (deferred)
		any_act_deferred = 1;
	else
		emit__count_loss(call->header.cgroup_id, call->header.profile, HG_DROP_TASKS_FULL, HG_KIND_CALL);
	return deferred;
}

/* The act goes on: the hook at the end of the call tells of it, and says then that it was spared. What a ring does has no such end. */
static __always_inline void decision__note_spared(const struct ev_call *call)
{
	struct deferred *deferred;

	if (call->flags & HG_CALL_IO_URING)
		return;
	deferred = decision__deferred(call);
	if (deferred)
		deferred->spared_nr = call->nr + 1;
}

/* Writes which rules of the kind are judged, and which of them `violated` has. Returns those that act. */
static __always_inline __u64 decision__weigh(struct ev_header *header, const struct map_profile *rules, __u64 of_kind,
					     __u64 violated)
{
	header->rung = HG_RUNG_LSM;
	header->decided = verdict__judged(rules, of_kind, header->phase);
	header->violated = violated & header->decided;
	return header->violated & (rules->deny | rules->kill);
}

/* Is the call, which has its number and this action, refused? One that is spared is told at its end. */
static __always_inline bool decision__act(struct ev_call *call, __u8 action)
{
	call->header.action = action;
	if (action == HG_ACTION_SPARED)
		decision__note_spared(call);
	return verdict__is_refusal(action);
}
