/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The name by which a program is executed: absolute, canonical, and of a multicall program the applet that runs
 * (docs/decisions/0004). No hooks stand here.
 */
struct canonicalise {
	struct scratch *scratch;
	__u32 start;
};

static long process__canonical_step(__u32 index, void *context)
{
	struct canonicalise *work = context;
	__u32 at = work->start + index;

	if (at >= sizeof(work->scratch->strings))
		return 1;
	canonical__add(&work->scratch->canonical, work->scratch->strings[at]);
	return 0;
}

/* Spelled out: the compiler turns a comparison by memcmp or by a loop into a call that BPF does not have. */
static __always_inline bool process__starts_multicall_name(const char *n)
{
	if (n[0] == 'b' && n[1] == 'u' && n[2] == 's' && n[3] == 'y' && n[4] == 'b' && n[5] == 'o' && n[6] == 'x')
		return true;
	return n[0] == 't' && n[1] == 'o' && n[2] == 'y' && n[3] == 'b' && n[4] == 'o' && n[5] == 'x';
}

static __always_inline bool process__starts_in_proc(const char *n)
{
	return n[0] == '/' && n[1] == 'p' && n[2] == 'r' && n[3] == 'o' && n[4] == 'c' && n[5] == '/';
}

/* Multicall programs do what argv[0] names, whatever name they were called by: `sh -> busybox` called with argv[0] "nc" is nc. */
static __always_inline bool process__is_multicall(__u64 dentry)
{
	const unsigned char *name = KERNEL_READ((struct dentry *)dentry, d_name.name);
	char start[8] = {};

	bpf_probe_read_kernel(start, 7, name);
	return process__starts_multicall_name(start);
}

/* Reads the last component of the argument at user address `argument` into key.path[0, ..). Returns its length. */
__noinline int process__argument_base(__u32 slot, __u64 argument)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct base_search search = {};
	long length;
	__u32 start, left;

	if (!scratch)
		return 0;
	length = bpf_probe_read_user_str(scratch->prefix.path, HG_KEY_PATH_BYTES, (void *)argument);
	if (length <= 1 || length > HG_KEY_PATH_BYTES)
		return 0;
	search.path = scratch->prefix.path;
	bpf_loop(length - 1, verdict__find_base, &search, 0);
	start = search.start;
	OPAQUE(start);
	if (start >= HG_KEY_PATH_BYTES)
		return 0;
	if (scratch->prefix.path[start] == '-') /* a login shell */
		start += 1;
	left = length - 1 - start;
	OPAQUE(left);
	OPAQUE(start);
	if (left == 0 || left >= APPLET_BYTES || start >= HG_KEY_PATH_BYTES - APPLET_BYTES)
		return 0;
	bpf_probe_read_kernel(scratch->applet, left, &scratch->prefix.path[start]);
	return left;
}

/* Which applet of a multicall program runs: argv[0], or argv[1] when that names the program itself. 0: cannot be told. */
__noinline int process__applet(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct mm_struct *mm = KERNEL_READ(bpf_get_current_task_btf(), mm);
	__u64 start = KERNEL_READ(mm, arg_start), end = KERNEL_READ(mm, arg_end);
	long first_bytes;
	int length;

	if (!scratch)
		return 0;
	length = process__argument_base(slot, start);
	if (length < 6 || !process__starts_multicall_name(scratch->applet))
		return length;
	first_bytes = bpf_probe_read_user_str(scratch->prefix.path, HG_KEY_PATH_BYTES, (void *)start);
	if (first_bytes <= 0 || start + first_bytes >= end)
		return length;
	return process__argument_base(slot, start + first_bytes);
}

static long process__put_applet(__u32 index, void *context)
{
	struct canonicalise *work = context;

	canonical__put(&work->scratch->canonical, work->scratch->applet[index & (APPLET_BYTES - 1)]);
	return 0;
}

/* The last component of the canonical name becomes the applet. */
static __always_inline void process__replace_last(struct canonicalise *work, __u32 applet_bytes)
{
	struct canonical *name = &work->scratch->canonical;
	__u32 depth = name->depth;

	if (depth == 0 || depth > CANONICAL_DEPTH_MAX)
		return;
	name->length = name->starts[(depth - 1) & (CANONICAL_DEPTH_MAX - 1)];
	canonical__put(name, '/');
	bpf_loop(applet_bytes, process__put_applet, work, 0);
}

static __always_inline bool process__last_is_multicall(const struct canonical *name)
{
	__u32 depth = name->depth, start;

	if (depth == 0 || depth > CANONICAL_DEPTH_MAX)
		return false;
	start = name->starts[(depth - 1) & (CANONICAL_DEPTH_MAX - 1)] + 1;
	OPAQUE(start);
	return start < CANONICAL_BYTES - 8 && process__starts_multicall_name(&name->out[start]);
}

/* Puts the current task's invoked name, absolute and canonical, at strings[0]; adds to event.flags. Returns its length.
 * dentry and mnt: of the resolved file. */
__noinline int process__invoked(__u32 slot, __u64 filename, __u64 dentry, __u64 mnt)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct fs_struct *fs = KERNEL_READ(bpf_get_current_task_btf(), fs);
	struct canonicalise work = {.scratch = scratch};
	__u32 length, flags = 0, applet_bytes = 0;
	bool is_multicall;
	char first[8] = {};
	long read;
	int start;

	if (!scratch)
		return 0;
	bpf_probe_read_kernel_str(first, sizeof(first), (void *)filename);
	/* A script keeps its own name: its interpreter's argv[0] chooses nothing. */
	is_multicall = !(scratch->event.flags & HG_EXEC_SCRIPT) && process__is_multicall(dentry);
	if (is_multicall && !(scratch->event.flags & HG_EXEC_REFUSED))
		applet_bytes = process__applet(slot);
	if (applet_bytes && process__starts_in_proc(first))
		/* /proc/self/exe names no file of its own: the applet stands beside the program. */
		start = path__walk(slot, dentry, mnt);
	else if (first[0] == '/')
		start = path__walk(slot, (__u64)KERNEL_READ(fs, root.dentry), (__u64)KERNEL_READ(fs, root.mnt));
	else
		start = path__walk(slot, (__u64)KERNEL_READ(fs, pwd.dentry), (__u64)KERNEL_READ(fs, pwd.mnt));
	if (start & PATH_TRUNCATED)
		flags |= HG_EXEC_PATH_TRUNCATED;
	length = path__append(slot, 0, start);
	OPAQUE(length);
	if (length > HG_PATH_MAX_BYTES)
		return 0;
	if (!applet_bytes || !process__starts_in_proc(first)) {
		scratch->strings[length] = '/';
		length += 1;
		read = bpf_probe_read_kernel_str(&scratch->strings[length], HG_PATH_MAX_BYTES, (void *)filename);
		if (read <= 0) {
			emit__count_unread(&scratch->event.header, HG_KIND_EXEC);
			return 0;
		}
		length += read - 1;
	}
	canonical__begin(&scratch->canonical);
	bpf_loop(length, process__canonical_step, &work, 0);
	canonical__finish(&scratch->canonical);
	if (applet_bytes) {
		process__replace_last(&work, applet_bytes);
		flags |= HG_EXEC_MULTICALL;
	}
	/* Before the exec its arguments are out of reach: which applet will run is known only from a name of its own. */
	if (is_multicall && (scratch->event.flags & HG_EXEC_REFUSED) &&
	    (process__starts_in_proc(first) || process__last_is_multicall(&scratch->canonical)))
		flags |= HG_EXEC_KERNEL_UNDECIDED;
	if (scratch->canonical.truncated)
		flags |= HG_EXEC_PATH_TRUNCATED;
	if (scratch->canonical.too_deep || scratch->canonical.had_dotdot || (flags & HG_EXEC_PATH_TRUNCATED))
		flags |= HG_EXEC_KERNEL_UNDECIDED;
	scratch->event.flags |= flags;
	length = scratch->canonical.length;
	OPAQUE(length);
	if (length == 0 || length > HG_PATH_MAX_BYTES)
		return 0;
	bpf_probe_read_kernel(scratch->strings, length, scratch->canonical.out);
	return length;
}
