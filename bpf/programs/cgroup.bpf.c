/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which cgroups are watched, and who joins them. Hooks: cgroup_mkdir, cgroup_rmdir, cgroup_attach_task of the hierarchy that
 * identifies containers (the others' are skipped on the first test).
 *
 * A cgroup made below a container's becomes part of it here, before any task can be in it. A cgroup made elsewhere is
 * pending: watched with everything until user space says what it is (host: the entry is deleted). So nothing that a new
 * container does in its first moments goes unseen.
 *
 * cgroup_attach_task fires once per migration, for the leader (kernel/cgroup/cgroup.c cgroup_attach_task()).
 */
#define CGROUP_PATH_MAX_BYTES 1024
#define EEXIST 17

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCH_CPUS_MAX);
	__type(key, __u32);
	__type(
		value, struct {
			struct ev_cgroup event;
			char path[CGROUP_PATH_MAX_BYTES];
		});
} cgroup_scratches SEC(".maps");

static __always_inline bool cgroup__is_identifying(const struct cgroup *cgroup)
{
	return KERNEL_READ(cgroup, root, hierarchy_id) == cfg_hierarchy_id;
}

static __always_inline void cgroup__emit(enum hg_kind kind, const struct cgroup *cgroup, const char *path,
					 const struct task_struct *task, __u64 home, __u32 phase)
{
	__u32 slot = bpf_get_smp_processor_id();
	struct {
		struct ev_cgroup event;
		char path[CGROUP_PATH_MAX_BYTES];
	} *scratch = bpf_map_lookup_elem(&cgroup_scratches, &slot);
	__u32 size_bytes = sizeof(struct ev_cgroup);
	struct cgroup_subsys_state *parent;
	long length;

	if (!scratch) {
		task__lose(home, HG_DROP_SCRATCH, kind);
		return;
	}
	emit__header(&scratch->event.header, kind, 0, task);
	scratch->event.header.cgroup_id = home;
	scratch->event.header.phase = phase;
	scratch->event.id = KERNEL_READ(cgroup, kn, id);
	parent = KERNEL_READ(cgroup, self.parent);
	scratch->event.parent_id = parent ? KERNEL_READ(parent, cgroup, kn, id) : 0;
	scratch->event.level = KERNEL_READ(cgroup, level);
	length = bpf_probe_read_kernel_str(scratch->path, sizeof(scratch->path), path);
	length = length > 0 ? length - 1 : 0;
	scratch->event.path_bytes = length;
	size_bytes += length & (CGROUP_PATH_MAX_BYTES - 1);
	scratch->event.header.size_bytes = size_bytes;
	emit__output(&scratch->event.header, size_bytes, true);
}

static __always_inline void cgroup__note_moved(__u32 tgid, __u64 home, enum hg_kind kind)
{
	if (bpf_map_update_elem(&moved, &tgid, &home, BPF_ANY))
		task__count_loss(home, HG_DROP_MOVED_FULL, kind);
}

/* A process whose home is elsewhere than its current cgroup: noted for the hooks that cannot read task storage. */
static __always_inline void cgroup__keep_moved(const struct task_struct *parent, const struct task_struct *child,
					       const struct task_state *state)
{
	__u32 tgid = parent->tgid;
	__u64 *home;

	if (!state)
		return;
	home = bpf_map_lookup_elem(&moved, &tgid);
	if (!home)
		return;
	cgroup__note_moved(child->tgid, *home, HG_KIND_FORK);
}

/* `leader` is now in `cgroup_id`. Returns true when it joined a container that it did not belong to. */
static __always_inline bool cgroup__join(struct task_struct *leader, struct task_state *from, __u64 cgroup_id)
{
	struct map_cgroup *entry = task__cgroup_entry(cgroup_id), *left = NULL;
	struct task_state *state;
	__u32 tgid = leader->tgid;
	__u64 home;

	if (from)
		left = task__cgroup_entry(from->home);
	if (!entry || (left && left->root_id != entry->root_id && entry->root_level <= left->root_level)) {
		/* Out of its container, to the host or to a sibling: it keeps its home. */
		if (left) {
			home = from->home;
			any_process_moved = 1;
			cgroup__note_moved(tgid, home, HG_KIND_CGROUP_JOIN);
			state = task__make_state(leader, home, HG_KIND_CGROUP_JOIN);
			if (state && state != from)
				*state = *from;
		}
		return false;
	}
	state = task__make_state(leader, cgroup_id, HG_KIND_CGROUP_JOIN);
	if (!state)
		return false;
	bpf_map_delete_elem(&moved, &tgid);
	if (left && left->root_id == entry->root_id) {
		if (state != from)
			*state = *from;
		state->home = cgroup_id;
		return false;
	}
	state->home = cgroup_id;
	state->phase = HG_PHASE_SETUP;
	/* Of whoever put it there (the runtime; for a fork into a cgroup the parent): an exec-into has entered the container's
	 * namespaces before it joins, and its first exec is the container's own act. */
	state->join_mnt_ns = task__mnt_ns(bpf_get_current_task_btf());
	state->setup_execs_count = 0;
	return true;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct cgroup_subsys_state *parent_css;
	struct map_cgroup fresh = {}, *parent_entry = NULL;
	struct map_control *settings = emit__control();
	struct map_container container = {};
	__u64 id, parent_id = 0;
	long error;

	if (!cgroup__is_identifying(cgroup))
		return 0;
	id = KERNEL_READ(cgroup, kn, id);
	parent_css = KERNEL_READ(cgroup, self.parent);
	if (parent_css) {
		parent_id = KERNEL_READ(parent_css, cgroup, kn, id);
		parent_entry = task__cgroup_entry(parent_id);
	}
	if (parent_entry) {
		fresh = *parent_entry;
	} else {
		fresh.root_id = id;
		fresh.root_level = KERNEL_READ(cgroup, level);
		fresh.state = HG_CGROUP_PENDING;
		fresh.want = HG_WANT_PROCESS | HG_WANT_CONNECT | (settings ? settings->want_pending : 0);
		fresh.acts = settings ? settings->acts_pending : 0;
		/* Full (E2BIG), or no memory for it. There already: user space was faster. */
		error = bpf_map_update_elem(&containers, &id, &container, BPF_NOEXIST);
		if (error && error != -EEXIST)
			emit__count_loss(id, 0, HG_DROP_CONTAINERS_FULL, HG_KIND_CGROUP_MKDIR);
	}
	if (bpf_map_update_elem(&cgroups, &id, &fresh, BPF_ANY))
		emit__count_loss(id, settings ? task__profile(&fresh, settings->version) : 0, HG_DROP_CGROUPS_FULL,
				 HG_KIND_CGROUP_MKDIR);
	cgroup__emit(HG_KIND_CGROUP_MKDIR, cgroup, path, task, id, HG_PHASE_RUN);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	__u64 id;

	if (!cgroup__is_identifying(cgroup))
		return 0;
	id = KERNEL_READ(cgroup, kn, id);
	cgroup__emit(HG_KIND_CGROUP_RMDIR, cgroup, path, task, id, HG_PHASE_RUN);
	bpf_map_delete_elem(&cgroups, &id);
	bpf_map_delete_elem(&containers, &id);
	bpf_map_delete_elem(&syscalls_seen, &id);
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_cgroup_attach, struct cgroup *cgroup, const char *path, struct task_struct *task, bool threadgroup)
{
	__u64 id;

	if (!cgroup__is_identifying(cgroup))
		return 0;
	id = KERNEL_READ(cgroup, kn, id);
	if (cgroup__join(task, task__state(task), id))
		cgroup__emit(HG_KIND_CGROUP_JOIN, cgroup, path, task, id, HG_PHASE_SETUP);
	return 0;
}
