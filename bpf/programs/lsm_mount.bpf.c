/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mounts, refused before they are made: hooks of the BPF LSM, attached while a mount rule denies or kills.
 *   sb_mount    path_mount() of mount(2), for everything that it does (new, bind, move, remount, change of propagation): source and
 *               type are the kernel's copies of the caller's words, the target is looked up
 *   move_mount  move_mount(2): the target is looked up; of source and type the caller says nothing, so only rules whose entries say
 *               nothing but targets are answered here
 * fsmount(2) and open_tree(2) make mounts that are nowhere yet; no hook of theirs can refuse.
 * Like the hooks about files these are silent where they let a mount pass, and so it is found after the act where no scratch is
 * free or the target is above PATH_MAX.
 */

/* Appends a kernel string at strings[offset]. Returns its length. */
static __always_inline __u32 mount__append_text(struct scratch *scratch, __u32 offset, const char *text)
{
	long read;

	OPAQUE(offset);
	if (!text || offset > 2 * HG_PATH_MAX_BYTES) /* a path and the source before it */
		return 0;
	read = bpf_probe_read_kernel_str(&scratch->strings[offset], HG_PATH_MAX_BYTES, text);
	return read > 0 ? read - 1 : 0;
}

/* Is this mount refused? Then it is reported. scratch->call was begun, scratch->question has the target. `is_move`: of source and
 * type nothing is known. */
__noinline int mount__judge(__u32 slot, __u64 source, __u64 type, __u32 is_move)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct task_struct *task = bpf_get_current_task_btf();
	const struct map_said_rules *said;
	__u32 profile, length;
	struct map_profile *rules;
	struct map_cgroup *entry;
	struct ev_call *call;
	__u64 judged;

	if (!scratch)
		return 0;
	call = &scratch->call;
	profile = call->header.profile;
	rules = bpf_map_lookup_elem(&profiles, &profile);
	said = said__rules(profile, HG_SAID_MOUNT);
	entry = task__cgroup_entry(call->header.cgroup_id);
	if (!rules || !said || !entry)
		return 0;
	length = file__append_path(slot, call, 0, scratch->question.dentry, scratch->question.mnt);
	call->path_bytes = length;
	if (length == 0 || (call->flags & HG_CALL_PATH_TRUNCATED))
		return 0;
	call->raw2_bytes = mount__append_text(scratch, length, (const char *)source);
	if (type && bpf_probe_read_kernel_str(call->tag, sizeof(call->tag), (const char *)type) < 0)
		call->tag[0] = 0;
	scratch->said = 0;
	said__text(slot, said__owner(profile, HG_SAID_TARGET), 0, length, true);
	said__text(slot, said__owner(profile, HG_SAID_SOURCE), length, call->raw2_bytes, false);
	/* the type's key is made of the text behind the source, which is not put out */
	if (type)
		said__text(slot, said__owner(profile, HG_SAID_FSTYPE), length + call->raw2_bytes,
			   mount__append_text(scratch, length + call->raw2_bytes, call->tag), false);
	said__judge(slot, profile, HG_SAID_MOUNT);
	judged = verdict__judged(rules, is_move ? said->by_target : said->rules, call->header.phase);
	call->header.rung = HG_RUNG_LSM;
	call->header.decided = judged;
	call->header.violated = scratch->result.violated & judged;
	if (!(call->header.violated & (rules->deny | rules->kill)))
		return 0;
	file__fill(call, &scratch->question, task);
	call->header.action = verdict__refuse(rules, profile, call->header.violated, entry->root_id);
	if (!verdict__is_refusal(call->header.action)) {
		file__note_spared(call);
		return 0;
	}
	call__output(slot, length + call->raw2_bytes);
	return 1;
}

static __always_inline int mount__ask(const struct path *target, const char *source, const char *type, bool is_move)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task__state(task->group_leader);
	struct map_control *settings = emit__control();
	struct file_question question = {.act = HG_ACT_MOUNT};
	const struct map_said_rules *said;
	__u32 profile, slot, version;
	struct map_profile *rules;
	struct map_cgroup *entry;
	struct scratch *scratch;
	int is_refused = 0;

	if (!state || !settings)
		return 0;
	entry = task__cgroup_entry(state->home);
	if (!entry)
		return 0;
	version = settings->version;
	profile = task__profile(entry, version);
	rules = bpf_map_lookup_elem(&profiles, &profile);
	said = said__rules(profile, HG_SAID_MOUNT);
	if (!rules || !said || !(verdict__judged(rules, said->rules, state->phase) & (rules->deny | rules->kill)) ||
	    !verdict__may_act(settings, entry, task->tgid))
		return 0;
	question.dentry = (__u64)target->dentry;
	question.mnt = (__u64)target->mnt;
	slot = lsm__claim(HG_KIND_CALL);
	if (!slot)
		return 0;
	scratch = bpf_map_lookup_elem(&scratches, &slot);
	if (scratch) {
		call__begin(scratch, task, state, profile, version);
		scratch->question = question;
		is_refused = mount__judge(slot, (__u64)source, (__u64)type, is_move);
	}
	lsm__release(slot);
	return is_refused ? -EPERM : 0;
}

SEC("lsm/sb_mount")
int BPF_PROG(on_sb_mount, const char *source, const struct path *target, const char *type, unsigned long flags,
	     void *data, int ret)
{
	return ret ? ret : mount__ask(target, source, type, false);
}

SEC("lsm/move_mount")
int BPF_PROG(on_move_mount, const struct path *from, const struct path *target, int ret)
{
	return ret ? ret : mount__ask(target, NULL, NULL, true);
}
