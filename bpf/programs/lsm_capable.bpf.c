/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Capabilities that a process would gain, refused before it does: hooks of the BPF LSM, attached while a capability rule denies or
 * kills. What counts as gained is that of task__follow_caps().
 *   bprm_creds_from_file  begin_new_exec(), before its point of no return: the credentials of the new program are final (bpf is
 *                         asked behind the capability LSM), and a refusal leaves the old program as it was
 *   userns_create         create_user_ns() of unshare(2) and clone(2) (v6.1): its maker holds every capability in it
 * Entering a user namespace (setns) asks no hook of its own: it is found after the call.
 */
#define CLONE_NEWUSER 0x10000000
#define CAPABILITIES_ALL ((1ULL << 41) - 1) /* CAP_LAST_CAP is 40 since v5.9 */

/* The rules that any of these capabilities violates. */
static __always_inline __u64 capable__violated(const struct map_capability_rules *rules, __u64 caps)
{
	__u64 violated = 0;

	for (__u32 number = 0; number < HG_CAPABILITIES_MAX; number++)
		if (caps >> number & 1)
			violated |= rules->violated[number];
	return violated;
}

/* Judges what is gained into the header, which has its profile and phase. Returns the header's action. */
static __always_inline __u8 capable__refuse_gain(struct ev_header *header, const struct map_cgroup *entry, __u64 gained)
{
	__u32 profile = header->profile;
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);
	struct map_capability_rules *own = bpf_map_lookup_elem(&capability_rules, &profile);
	__u64 acting;

	if (!rules || !own)
		return HG_ACTION_NONE;
	acting = decision__weigh(header, rules, own->gain, capable__violated(own, gained));
	return verdict__refuse(rules, profile, acting, entry->root_id);
}

/* Is there a rule that acts on gains of this profile? */
static __always_inline bool capable__is_asked(const struct map_control *settings, const struct map_cgroup *entry,
					      __u32 tgid)
{
	__u32 profile = task__profile(entry, settings->version);
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);
	struct map_capability_rules *own = bpf_map_lookup_elem(&capability_rules, &profile);

	return rules && own && (own->gain & (rules->deny | rules->kill)) && verdict__may_act(settings, entry, tgid);
}

static __always_inline int capable__check_exec(__u32 slot, struct task_struct *task, struct linux_binprm *bprm,
					       const struct map_cgroup *entry, __u64 home, __u64 gained, __u32 version)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	__u32 strings_bytes;

	if (!scratch)
		return 0;
	strings_bytes = lsm__begin_exec(slot, scratch, task, bprm, entry, home, HG_PHASE_RUN, version);
	scratch->event.cap_gained = gained;
	scratch->event.header.action = capable__refuse_gain(&scratch->event.header, entry, gained);
	if (!verdict__is_refusal(scratch->event.header.action))
		return 0;
	lsm__report_exec(&scratch->event, task, strings_bytes);
	return -EPERM;
}

SEC("lsm/bprm_creds_from_file")
int BPF_PROG(on_bprm_creds, struct linux_binprm *bprm, struct file *file, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task__state(task);
	struct map_control *settings = emit__control();
	struct map_cgroup *entry;
	__u32 slot;
	__u64 gained, home;

	/* What a container's process begins with is given by the runtime. */
	if (ret || !state || !settings || state->phase == HG_PHASE_SETUP)
		return ret;
	gained = task__read_caps(KERNEL_READ(bprm, cred), bpf_core_field_offset(struct cred, cap_permitted)) &
		 state->cap_lacking;
	if (!gained)
		return 0;
	home = state->home;
	entry = task__cgroup_entry(home);
	if (!entry || !capable__is_asked(settings, entry, task->tgid))
		return 0;
	slot = lsm__claim(home, task__profile(entry, settings->version), HG_KIND_EXEC);
	if (!slot)
		return 0;
	ret = capable__check_exec(slot, task, bprm, entry, home, gained, settings->version);
	lsm__release(slot);
	return ret;
}

SEC("lsm/userns_create")
int BPF_PROG(on_userns_create, const struct cred *cred, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task__state(task);
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct map_control *settings = emit__control();
	__u32 nr = syscall__nr(regs);
	struct map_cgroup *entry;
	struct ev_call event = {};

	if (!state)
		state = task__state(task->group_leader);
	if (ret || !state || !settings)
		return ret;
	event.cap_gained = CAPABILITIES_ALL & state->cap_lacking;
	entry = task__cgroup_entry(state->home);
	if (!event.cap_gained || !entry || !capable__is_asked(settings, entry, task->tgid))
		return 0;
	event.header.cgroup_id = state->home;
	event.header.phase = state->phase;
	event.header.program_version = settings->version;
	event.header.profile = task__profile(entry, event.header.program_version);
	event.abi = syscall__abi(task, &nr);
	event.nr = nr;
	event.act = HG_ACT_UNSHARE;
	event.fd = -1;
	event.flags = HG_CALL_DECISION;
	/* of clone3 the flags stand in memory */
	event.args[0] = CLONE_NEWUSER;
	if (!decision__act(&event, capable__refuse_gain(&event.header, entry, event.cap_gained)))
		return 0;
	call__number(&event.header, task);
	event.header.size_bytes = sizeof(event);
	emit__output(&event.header, sizeof(event), true);
	return -EPERM;
}
