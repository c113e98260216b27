/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mounts, refused before they are made: hooks of the BPF LSM, attached while a mount rule denies or kills.
 *   sb_mount    path_mount() of mount(2), for everything that it does (new, bind, move, remount, change of propagation): source and
 *               type are the kernel's copies of the caller's words, the target is looked up
 *   move_mount  move_mount(2): the target is looked up; of source and type the caller says nothing, so only rules whose entries say
 *               nothing but targets are answered here
 * fsmount(2) and open_tree(2) make mounts that are nowhere yet; no hook of theirs can refuse.
 * What is not answered here passes and is found after the act (decision.bpf.c).
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
	__u64 acting;

	if (!scratch)
		return 0;
	call = &scratch->call;
	profile = call->header.profile;
	rules = bpf_map_lookup_elem(&profiles, &profile);
	said = said__rules(profile, HG_SAID_MOUNT);
	entry = task__cgroup_entry(call->header.cgroup_id);
	if (!rules || !said || !entry)
		return 0;
	length = decision__append_path(slot, call, 0, scratch->question.dentry, scratch->question.mnt);
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
	acting = decision__weigh(&call->header, rules, is_move ? said->by_target : said->rules,
				 scratch->result.violated);
	if (!acting)
		return 0;
	file__fill(call, &scratch->question, task);
	if (!decision__act(call, verdict__refuse(rules, profile, acting, entry->root_id)))
		return 0;
	call__output(slot, length + call->raw2_bytes);
	return 1;
}

static __always_inline int mount__ask(const struct path *target, const char *source, const char *type, bool is_move)
{
	struct file_question question = {.act = HG_ACT_MOUNT};
	const struct map_said_rules *said;
	struct decision decision;
	struct scratch *scratch;
	__u32 slot;

	if (!decision__find(&decision))
		return 0;
	said = said__rules(decision.profile, HG_SAID_MOUNT);
	if (!said || !decision__may_act(&decision, said->rules))
		return 0;
	question.dentry = (__u64)target->dentry;
	question.mnt = (__u64)target->mnt;
	slot = decision__begin(&decision);
	if (!slot)
		return 0;
	scratch = bpf_map_lookup_elem(&scratches, &slot);
	if (scratch)
		scratch->question = question;
	return decision__end(slot, mount__judge(slot, (__u64)source, (__u64)type, is_move));
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
