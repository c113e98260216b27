/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The top rung: hooks of the BPF LSM, which run before an act and can refuse it. Loaded where the kernel takes them
 * (src/sensor/ladder.ts tries), attached only while a loaded rule may refuse something there.
 *   bprm_check_security: search_binary_handler() -> security_bprm_check(), once for the file and once more for each
 *     interpreter, after the file is opened and before the old program is given up (fs/exec.c).
 *
 * One event per act: a hook that refuses reports the act itself; where it lets the act pass it is silent, and the act is
 * reported by the hook that sees its result (sched_process_exec).
 *
 * These hooks can be preempted and then run again on the same CPU, so scratch is claimed, not taken by CPU number. With no slot
 * free the act passes, is counted (HG_DROP_SCRATCH), and is judged again by the rung below.
 */
#define EPERM 1
#define SCRATCH_TRIES 4 /* own CPU's slot first; more than one is taken only where the kernel preempts */

const volatile __u32 cfg_lsm_scratch = 0;	  /* first slot of `scratches` for these hooks */
const volatile __u32 cfg_lsm_scratches_count = 1; /* as many as CPUs */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCH_CPUS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} scratch_claims SEC(".maps");

/* A slot of `scratches`, or 0. */
static __always_inline __u32 lsm__try_claim(void)
{
	__u32 cpu = bpf_get_smp_processor_id(), count = cfg_lsm_scratches_count;

	for (int i = 0; i < SCRATCH_TRIES && count; i++) {
		__u32 slot = cfg_lsm_scratch + (cpu + i) % count;
		__u32 *claim = bpf_map_lookup_elem(&scratch_claims, &slot);

		if (claim && __sync_val_compare_and_swap(claim, 0, 1) == 0)
			return slot;
	}
	return 0;
}

/* The same, counted with whose act it is when it is 0. */
static __always_inline __u32 lsm__claim(__u64 home, __u32 profile, enum hg_kind kind)
{
	__u32 slot = lsm__try_claim();

	if (!slot)
		emit__count_loss(home, profile, HG_DROP_SCRATCH, kind);
	return slot;
}

static __always_inline void lsm__release(__u32 slot)
{
	__u32 *claim = bpf_map_lookup_elem(&scratch_claims, &slot);

	if (claim)
		__sync_lock_test_and_set(claim, 0);
}

/* Of the exec that is being prepared: process__advance_phase() without the state changing. */
static __always_inline __u32 lsm__phase_of_exec(const struct task_state *state, const struct task_struct *task)
{
	if (state->phase == HG_PHASE_SETUP && task__mnt_ns(task) == state->join_mnt_ns &&
	    state->setup_execs_count + 1 < SETUP_EXECS_MAX)
		return HG_PHASE_SETUP;
	return HG_PHASE_RUN;
}

/* Numbers the judged attempt and puts it out. */
static __always_inline void lsm__report_exec(struct ev_exec *event, struct task_struct *task, __u32 strings_bytes)
{
	struct ev_header judged = event->header;
	__u32 size_bytes;

	emit__header(&event->header, HG_KIND_EXEC, 0, task);
	event->header.cgroup_id = judged.cgroup_id;
	event->header.phase = judged.phase;
	event->header.program_version = judged.program_version;
	event->header.profile = judged.profile;
	event->header.decided = judged.decided;
	event->header.violated = judged.violated;
	event->header.action = judged.action;
	event->header.rung = HG_RUNG_LSM;
	OPAQUE(strings_bytes);
	if (strings_bytes > EXEC_STRINGS_MAX_BYTES) {
		emit__count_loss(event->header.cgroup_id, event->header.profile, HG_DROP_UNREPORTED_ACTION,
				 HG_KIND_EXEC);
		return;
	}
	size_bytes = sizeof(*event) + strings_bytes;
	event->header.size_bytes = size_bytes;
	emit__output(&event->header, size_bytes, true);
}

/* Makes scratch->event and its names of an exec that is being prepared. Returns the length of the names. */
static __always_inline __u32 lsm__begin_exec(__u32 slot, struct scratch *scratch, struct task_struct *task,
					     struct linux_binprm *bprm, const struct map_cgroup *entry, __u64 home,
					     __u32 phase, __u32 version)
{
	struct ev_exec *event = &scratch->event;

	__builtin_memset(event, 0, sizeof(*event));
	event->flags = HG_EXEC_REFUSED;
	event->header.cgroup_id = home;
	event->header.phase = phase;
	event->header.program_version = version;
	event->header.profile = task__profile(entry, version);
	event->header.pid = bpf_get_current_pid_tgid() >> 32;
	process__fill_facts(event, task, bprm, entry, phase);
	return process__put_names(slot, scratch, task, bprm);
}

static __always_inline int lsm__check_exec(__u32 slot, struct task_struct *task, struct linux_binprm *bprm,
					   const struct map_cgroup *entry, __u64 home, __u32 phase, __u32 version)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct ev_exec *event;
	__u32 strings_bytes;

	if (!scratch)
		return 0;
	event = &scratch->event;
	strings_bytes = lsm__begin_exec(slot, scratch, task, bprm, entry, home, phase, version);
	process__judge(slot, event->invoked_bytes);
	if (!verdict__is_refusal(event->header.action))
		return 0;
	lsm__report_exec(event, task, strings_bytes);
	return -EPERM;
}

SEC("lsm/bprm_check_security")
int BPF_PROG(on_bprm_check, struct linux_binprm *bprm, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task__state(task);
	struct map_control *settings = emit__control();
	struct map_profile *rules;
	struct map_cgroup *entry;
	__u32 profile, phase, slot, version;
	__u64 home;

	if (ret || !state || !settings)
		return ret;
	home = state->home;
	entry = task__cgroup_entry(home);
	if (!entry)
		return 0;
	version = settings->version;
	profile = task__profile(entry, version);
	rules = bpf_map_lookup_elem(&profiles, &profile);
	if (!rules || !profile)
		return 0;
	phase = lsm__phase_of_exec(state, task);
	if (!(verdict__judged(rules, rules->exec_rules, phase) & (rules->deny | rules->kill)) ||
	    !verdict__may_act(settings, entry, bpf_get_current_pid_tgid() >> 32))
		return 0;
	slot = lsm__claim(home, profile, HG_KIND_EXEC);
	if (!slot)
		return 0;
	ret = lsm__check_exec(slot, task, bprm, entry, home, phase, version);
	lsm__release(slot);
	return ret;
}
