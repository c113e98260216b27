/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a call that somebody wants to its event: repeats are counted instead of told, a verdict that only the end of the call can give
 * is given, and the event gets its number last, so that what is not told leaves no hole.
 * Fail direction: an event that finds no room is counted.
 */
#define REPEAT_INTERVAL_NS 10000000000ULL /* as for sends: one report in 10 s, with an exact count */

static __always_inline void call__begin(struct scratch *scratch, const struct task_struct *task,
					const struct task_state *state, __u32 profile, __u32 version)
{
	struct ev_call *call = &scratch->call;

	__builtin_memset(call, 0, sizeof(*call));
	call->header.program_version = version;
	call->header.cgroup_id = state ? state->home : task__cgroup_id(task);
	call->header.phase = state ? state->phase : HG_PHASE_RUN;
	call->header.profile = profile;
	call->header.pid = task->tgid;
	call->header.boot_ns = bpf_ktime_get_boot_ns();
}

/* Is this act on this object to be reported now? If not, it is counted for the next report. */
__noinline int call__is_due(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct repeat_key key = {};
	struct repeat_value fresh = {}, *known;
	struct ev_call *call;

	if (!scratch)
		return 1;
	call = &scratch->call;
	if (call->fd_kind == HG_FD_NONE)
		return 1;
	key.pid = call->header.pid;
	key.act = call->act;
	key.detail = (call->access & 0x7f) | (call->result < 0 ? 0x80 : 0);
	if (call->remote_port) {
		__builtin_memcpy(key.object, call->remote, 16);
		key.port = call->remote_port;
	} else if (call->act == HG_ACT_UNIX_CONNECT) {
		if (call->result < 0) /* to which of many names */
			return 1;
		key.object[0] = (__u64)descriptor__unix_address(scratch);
	} else {
		key.object[0] = call->inode;
		key.object[1] = call->dev;
	}
	known = bpf_map_lookup_elem(&repeats, &key);
	if (!known) {
		fresh.reported_ns = call->header.boot_ns;
		bpf_map_update_elem(&repeats, &key, &fresh, BPF_ANY);
		return 1;
	}
	if (call->header.boot_ns - known->reported_ns < REPEAT_INTERVAL_NS) {
		__sync_fetch_and_add(&known->repeats_count, 1);
		emit__count_drop(HG_DROP_REPEAT, HG_KIND_CALL);
		return 0;
	}
	known->reported_ns = call->header.boot_ns;
	/* Another CPU may count meanwhile: what is taken is what is told. */
	call->repeats_count = __sync_lock_test_and_set(&known->repeats_count, 0);
	return 1;
}

/* Gives a header that was judged its number and the rest of its facts. */
static __always_inline void call__number(struct ev_header *header, const struct task_struct *task)
{
	struct ev_header judged = *header;

	emit__header(header, HG_KIND_CALL, 0, task);
	header->cgroup_id = judged.cgroup_id;
	header->profile = judged.profile;
	header->program_version = judged.program_version;
	header->phase = judged.phase;
	header->action = judged.action;
	header->rung = judged.rung;
	header->decided = judged.decided;
	header->violated = judged.violated;
}

/* Puts out what was numbered. */
static __always_inline void call__put_out(struct ev_call *call, __u32 strings_bytes, const struct map_profile *rules)
{
	__u32 size_bytes;

	OPAQUE(strings_bytes);
	if (strings_bytes > 4 * HG_PATH_MAX_BYTES) {
		emit__count_unread(&call->header, HG_KIND_CALL);
		return;
	}
	size_bytes = sizeof(*call) + strings_bytes;
	call->header.size_bytes = size_bytes;
	if (call->flags & HG_CALL_PATH_TRUNCATED)
		emit__count_loss(call->header.cgroup_id, call->header.profile, HG_DROP_TRUNCATED, HG_KIND_CALL);
	emit__output(&call->header, size_bytes,
		     call->header.action || (rules && (rules->acts_urgent & (1ULL << (call->act & 63)))));
}

/* Puts out scratch->call. The number is taken only now: what was not wanted leaves no hole. Not inlined: its stack would come on top
 * of what walking paths needs, and the kernel bounds the sum. */
__noinline int call__output(__u32 slot, __u32 strings_bytes)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_profile *rules;
	__u32 profile;

	if (!scratch)
		return 0;
	profile = scratch->call.header.profile;
	rules = profile ? bpf_map_lookup_elem(&profiles, &profile) : NULL;
	call__number(&scratch->call.header, bpf_get_current_task_btf());
	call__put_out(&scratch->call, strings_bytes, rules);
	return 1;
}

/* A socket listens that no hook before it has refused. By a rule that kills, the process is ended before it is back from the call. By
 * one that denies it stays, and where the breaker's budget is spent that is why. */
static __always_inline void call__judge_listen(struct ev_call *call, const struct map_profile *rules)
{
	struct map_cgroup *entry = task__cgroup_entry(call->header.cgroup_id);
	__u32 profile = call->header.profile;
	__u64 judged = verdict__judged(rules, rules->listen_rules, call->header.phase), acting;

	if (!(judged & (rules->deny | rules->kill)) || call->result != 0 ||
	    (call->family != AF_INET && call->family != AF_INET6))
		return;
	call->header.decided = judged;
	call->header.violated =
		connect__violated(&listen_nodes, profile, call->local, call->local_port, IPPROTO_TCP) & judged;
	acting = call->header.violated & (rules->deny | rules->kill);
	if (!acting || !verdict__may_act(emit__control(), entry, call->header.pid))
		return;
	if (acting & rules->kill)
		call->header.action = verdict__kill(rules, profile, acting, entry->root_id);
	else if (!verdict__budget(rules, profile, acting, entry->root_id, false))
		call->header.action = HG_ACTION_SPARED;
}

/* Was the breaker's budget spent when a hook would have refused this call of the thread? Takes the mark, at the end of each call that
 * somebody wants, told or not: no later call finds it. */
static __always_inline bool call__take_spared(struct task_struct *task, __u32 nr)
{
	struct deferred *deferred;
	bool is_spared;

	if (!any_act_deferred)
		return false;
	deferred = bpf_task_storage_get(&deferrals, task, 0, 0);
	if (!deferred)
		return false;
	is_spared = deferred->spared_nr == nr + 1;
	deferred->spared_nr = 0;
	return is_spared;
}

/* scratch->call has its home, profile, result and arguments. */
__noinline int call__report(__u32 slot, __u32 index, __u32 is_aggregated)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_recipe *recipe = bpf_map_lookup_elem(&recipes, &index);
	struct task_struct *task = bpf_get_current_task_btf();
	struct map_profile *rules;
	struct ev_call *call;
	__u32 profile;
	int length;

	if (!scratch || !recipe)
		return 0;
	call = &scratch->call;
	profile = call->header.profile;
	rules = profile ? bpf_map_lookup_elem(&profiles, &profile) : NULL;
	call__read_descriptor(slot, scratch, recipe);
	if (call->act == HG_ACT_OPEN)
		call__read_access(scratch, call, recipe->flags);
	if (call->act == HG_ACT_UNIX_CONNECT && call->family != AF_UNIX)
		return 0;
	call__read_extras(slot, call, recipe);
	if (is_aggregated && !call__is_due(slot))
		return 0;
	length = call__write_paths(slot, index);
	if (length < 0) {
		emit__lose(call->header.cgroup_id, profile, HG_DROP_HELPER, HG_KIND_CALL);
		return 0;
	}
	/* of an open that worked, the filter has walked the path */
	if (rules && file_act__is_one(call->act) && (call->act != HG_ACT_OPEN || !scratch->file) &&
	    !file_act__is_written_wanted(slot, profile))
		return 0;
	length += call__append_raw(slot, length, 0, call->raw_bytes);
	length += call__append_raw(slot, length, 1, call->raw2_bytes);
	call__read_creds(call, task);
	if (call->act == HG_ACT_LISTEN && rules)
		call__judge_listen(call, rules);
	if (rules && !call->header.action && !connect__is_act_wanted(slot, profile, 1))
		return 0;
	return call__output(slot, length);
}
