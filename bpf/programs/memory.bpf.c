/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory per container, and OOM kills.
 *   iter/task on_memory: read by user space at its own pace; walks the tasks, and for the first task of each confirmed
 *     container in a round climbs from the task's memory cgroup to the one at the level and with the path of the container's
 *     cgroup (the runtimes use the same path in every hierarchy) and reads its counters. Works the same on cgroup v1, hybrid and v2.
 *   iter/task on_task: the processes that exist at start, and their task storage, never over newer state.
 *   mark_victim: the kernel's OOM killer chose a process.
 */
#define MEMCG_LEVELS_MAX 16
#define PAGES_NO_LIMIT (1ULL << 50) /* PAGE_COUNTER_MAX is LONG_MAX / PAGE_SIZE */
#define NAME_ROOM_BYTES (NAME_MAX_BYTES + 1)
#define VMSTAT_INACTIVE_FILE 2 /* NR_INACTIVE_FILE, and its place in memcg_node_stat_items since v6.11 too */

/* A cgroup of the unified hierarchy and one of the memory controller's, on their way to the roots. */
struct memory_paths {
	__u64 own; /* struct cgroup *, as the next */
	__u64 charged;
	__u64 is_one; /* they have one path */
};

/* Have these cgroups one name? */
__noinline int memory__is_one_name(__u64 cgroup, __u64 other)
{
	__u32 slot = cfg_iterator_scratch;
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	char *name, *other_name;

	if (!scratch)
		return 0;
	name = scratch->raw;
	other_name = &scratch->raw[NAME_ROOM_BYTES];
	__builtin_memset(name, 0, 2 * NAME_ROOM_BYTES);
	if (bpf_probe_read_kernel_str(name, NAME_ROOM_BYTES, KERNEL_READ((struct cgroup *)cgroup, kn, name)) < 0 ||
	    bpf_probe_read_kernel_str(other_name, NAME_ROOM_BYTES, KERNEL_READ((struct cgroup *)other, kn, name)) < 0)
		return 0;
	for (__u32 at = 0; at < NAME_ROOM_BYTES; at += sizeof(__u64))
		if (*(__u64 *)&name[at] != *(__u64 *)&other_name[at])
			return 0;
	return 1;
}

static long memory__compare(__u32 index, struct memory_paths *paths)
{
	struct cgroup *own = (struct cgroup *)paths->own, *charged = (struct cgroup *)paths->charged;
	int level = KERNEL_READ(own, level), charged_level = KERNEL_READ(charged, level);

	if (level > charged_level) {
		paths->own = (__u64)KERNEL_READ(own, self.parent, cgroup);
		return 0;
	}
	paths->is_one = level == charged_level && (own == charged || level == 0);
	if (paths->is_one || level < charged_level || !memory__is_one_name(paths->own, paths->charged))
		return 1;
	paths->own = (__u64)KERNEL_READ(own, self.parent, cgroup);
	paths->charged = (__u64)KERNEL_READ(charged, self.parent, cgroup);
	return 0;
}

/* Is this memory cgroup, at the container's level, the container's, of which a task is in the cgroup `own`? On a hybrid host it may be
 * charged to another. Global, so that the verifier walks it once. */
__noinline int memory__is_own(__u64 own, __u64 charged)
{
	struct memory_paths paths = {.own = own, .charged = charged};

	if (cfg_use_memory_css) /* the container is known by its memory cgroup */
		return 1;
	bpf_loop(2 * MEMCG_LEVELS_MAX, memory__compare, &paths, 0);
	return paths.is_one;
}

/* struct mem_cgroup * of the container in which the tasks of this css_set are, or 0. Global, as above. */
__noinline __u64 memory__cgroup_at(__u64 css_set, __u32 root_level)
{
	int index = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	struct css_set *set = (struct css_set *)css_set;
	struct cgroup_subsys_state *css = NULL;

	bpf_probe_read_kernel(&css, sizeof(css),
			      (void *)set + bpf_core_field_offset(struct css_set, subsys) + index * sizeof(css));
	for (int i = 0; i < MEMCG_LEVELS_MAX && css; i++) {
		if (KERNEL_READ(css, cgroup, level) <= (int)root_level)
			break;
		css = KERNEL_READ(css, parent);
	}
	/* A container without a memory cgroup of its own is charged to one above: its use cannot be told from the others'. */
	if (!css || KERNEL_READ(css, cgroup, level) != (int)root_level ||
	    !memory__is_own((__u64)KERNEL_READ(set, dfl_cgrp), (__u64)KERNEL_READ(css, cgroup)))
		return 0;
	return (__u64)css - bpf_core_field_offset(struct mem_cgroup, css);
}

static __always_inline __u64 memory__limit_pages(struct mem_cgroup *memory)
{
	struct page_counter *counter = (void *)memory + bpf_core_field_offset(struct mem_cgroup, memory);
	__u64 limit = ~0ULL, max;

	for (int i = 0; i < MEMCG_LEVELS_MAX && counter; i++) {
		max = KERNEL_READ(counter, max);
		if (max < limit)
			limit = max;
		counter = KERNEL_READ(counter, parent);
	}
	return limit;
}

SEC("iter/task")
int on_memory(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct map_control *settings = emit__control();
	struct ev_memory event = {};
	struct task_state *state;
	struct map_cgroup *entry;
	struct mem_cgroup *memory;
	__u64 root_id, limit;
	__u32 *round;

	if (!task || !settings || task->pid != task->tgid)
		return 0;
	state = task__state(task);
	if (!state)
		return 0;
	entry = task__cgroup_entry(state->home);
	if (!entry || entry->state != HG_CGROUP_CONTAINER)
		return 0;
	root_id = entry->root_id;
	/* A process that moved itself out of its container's cgroups is charged elsewhere. */
	if (!task__cgroup_entry(task__cgroup_id(task)))
		return 0;
	round = bpf_map_lookup_elem(&memory_rounds, &root_id);
	if (round && *round == settings->round)
		return 0;
	memory = (struct mem_cgroup *)memory__cgroup_at((__u64)KERNEL_READ(task, cgroups), entry->root_level);
	/* Another of its processes may be charged where this one is not. */
	if (!memory)
		return 0;
	bpf_map_update_elem(&memory_rounds, &root_id, &settings->round, BPF_ANY);
	event.header.kind = HG_KIND_MEMORY;
	event.header.size_bytes = sizeof(event);
	event.header.boot_ns = bpf_ktime_get_boot_ns();
	event.header.cgroup_id = root_id;
	event.header.program_version = settings->version;
	event.current_bytes = (__u64)KERNEL_READ(memory, memory.usage.counter) * cfg_page_bytes;
	event.peak_bytes = (__u64)KERNEL_READ(memory, memory.watermark) * cfg_page_bytes;
	limit = memory__limit_pages(memory);
	event.limit_bytes = limit >= PAGES_NO_LIMIT ? ~0ULL : limit * cfg_page_bytes;
	if (bpf_core_field_exists(memory->vmstats))
		event.inactive_file_bytes =
			(__u64)KERNEL_READ(memory, vmstats, state[VMSTAT_INACTIVE_FILE]) * cfg_page_bytes;
	bpf_seq_write(context->meta->seq, &event, sizeof(event));
	return 0;
}

#define ANCESTORS_MAX 32 /* parents that are looked at: deeper than shells nest */

/*
 * Of a process in no watched cgroup, by its parent: the cgroup of the nearest ancestor in one, if that is a container; else 0.
 * It left its container before the probes were there; cgroup__join() sees those that leave later. Whoever enters a
 * container's namespaces from the host has the host's processes as ancestors.
 */
__noinline __u64 memory__left_container(__u64 parent)
{
	struct task_struct *task = (struct task_struct *)parent;
	struct map_cgroup *entry;
	__u64 cgroup_id;

	for (int i = 0; i < ANCESTORS_MAX && task; i++) {
		if (KERNEL_READ(task, pid) <= 1)
			return 0;
		cgroup_id = task__cgroup_id(task);
		entry = task__cgroup_entry(cgroup_id);
		if (entry)
			return entry->state == HG_CGROUP_CONTAINER ? cgroup_id : 0;
		task = KERNEL_READ(task, real_parent);
	}
	return 0;
}

/* Gives a process that was there before the probes its state, if it is a container's. */
static __always_inline struct task_state *memory__adopt(struct task_struct *task, const struct map_cgroup *entry,
							__u64 cgroup_id)
{
	__u64 home = entry ? cgroup_id : memory__left_container((__u64)KERNEL_READ(task, real_parent));
	struct task_state *state;

	if (!home)
		return NULL;
	state = task__make_state(task, home, HG_KIND_TASK);
	if (!state)
		return NULL;
	state->home = home;
	if (!entry) {
		any_process_moved = 1;
		cgroup__note_moved(task->tgid, home, HG_KIND_TASK);
	}
	return state;
}

SEC("iter/task")
int on_task(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct map_container *container;
	struct map_cgroup *entry;
	struct task_state *state;
	struct scratch *scratch;
	struct ev_task event = {};
	struct file *file;
	int start;
	__u64 cgroup_id;
	__u32 slot = cfg_iterator_scratch;

	if (!task || task->pid != task->tgid)
		return 0;
	cgroup_id = task__cgroup_id(task);
	entry = task__cgroup_entry(cgroup_id);
	state = task__state(task);
	if (!state)
		state = memory__adopt(task, entry, cgroup_id);
	/* Always: while no rule asked for the acts that take capabilities away, they were not followed. */
	if (state)
		(void)task__follow_caps(state, task);
	if (entry) {
		container = bpf_map_lookup_elem(&containers, &entry->root_id);
		if (container && container->mnt_ns == 0) {
			container->mnt_ns = task__mnt_ns(task);
			container->root_dentry = (__u64)KERNEL_READ(task, fs, root.dentry);
		}
	}
	event.header.kind = HG_KIND_TASK;
	event.header.boot_ns = bpf_ktime_get_boot_ns();
	event.header.cgroup_id = state ? state->home : cgroup_id;
	event.header.phase = state ? state->phase : HG_PHASE_RUN;
	event.header.start_ns = task->start_boottime;
	event.header.pid = task->tgid;
	event.header.tid = task->pid;
	event.header.uid = KERNEL_READ(task, cred, euid.val);
	event.header.gid = KERNEL_READ(task, cred, egid.val);
	event.parent_pid = KERNEL_READ(task, real_parent, tgid);
	event.parent_start_ns = KERNEL_READ(task, real_parent, group_leader, start_boottime);
	task__read_facts(&event.facts, task);
	BPF_CORE_READ_STR_INTO(&event.comm, task, comm);
	scratch = bpf_map_lookup_elem(&scratches, &slot);
	file = KERNEL_READ(task, mm, exe_file);
	event.header.size_bytes = sizeof(event);
	if (!scratch || !file) {
		bpf_seq_write(context->meta->seq, &event, sizeof(event));
		return 0;
	}
	event.inode = KERNEL_READ(file, f_inode, i_ino);
	if (path__is_memfd(KERNEL_READ(file, f_inode), KERNEL_READ(file, f_path.dentry)))
		event.flags |= HG_EXEC_MEMFD;
	if (task__is_upper_layer(KERNEL_READ(file, f_inode)))
		event.flags |= HG_EXEC_UPPER_LAYER;
	start = path__walk(slot, (__u64)KERNEL_READ(file, f_path.dentry), (__u64)KERNEL_READ(file, f_path.mnt));
	event.file_bytes = path__append(slot, 0, start);
	event.header.size_bytes += event.file_bytes;
	bpf_seq_write(context->meta->seq, &event, sizeof(event));
	if (event.file_bytes <= HG_PATH_MAX_BYTES)
		bpf_seq_write(context->meta->seq, scratch->strings, event.file_bytes);
	return 0;
}

SEC("raw_tp/mark_victim")
int on_oom(struct bpf_raw_tracepoint_args *context)
{
	struct ev_oom event = {};
	struct map_cgroup *entry;
	struct task_struct *victim;
	__u64 cgroup_id;

	if (!bpf_core_field_exists(struct trace_event_raw_mark_victim, uid)) {
		/* Only a pid: user space finds the container in its process table. */
		victim = (struct task_struct *)bpf_get_current_task_btf();
		emit__header(&event.header, HG_KIND_OOM, sizeof(event), victim);
		event.header.pid = (__u32)context->args[0];
		event.header.tid = event.header.pid;
		event.header.start_ns = 0;
		emit__output(&event.header, sizeof(event), false);
		return 0;
	}
	victim = (struct task_struct *)context->args[0];
	cgroup_id = task__cgroup_id(victim);
	entry = task__cgroup_entry(cgroup_id);
	if (!task__wanted(entry, HG_WANT_PROCESS))
		return 0;
	emit__header(&event.header, HG_KIND_OOM, sizeof(event), victim);
	event.header.cgroup_id = cgroup_id;
	BPF_CORE_READ_STR_INTO(&event.comm, victim, comm);
	emit__output(&event.header, sizeof(event), false);
	return 0;
}
