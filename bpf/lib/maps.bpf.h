/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps that more than one family of hooks, or user space, uses; one family's own stand with it. Sizes marked cfg are set by the loader before load. Bounds: 65,536 cgroups and 4,096
 * containers are more than a host of 24 GiB runs; a full map is counted (HG_DROP_*_FULL), never silent.
 */
#ifndef HULLGUARD_MAPS_BPF_H
#define HULLGUARD_MAPS_BPF_H

#include "kernel_read.bpf.h"
#include "../abi.h"

/* Set by the loader. */
const volatile __u32 cfg_hierarchy_id =
	0; /* of the cgroup hierarchy that identifies containers; 0 is the unified one */
const volatile __u32 cfg_use_memory_css = 0; /* 1: cgroup v1 only, identity from the memory controller's hierarchy */
const volatile __u32 cfg_page_bytes = 4096;
/* Wake the reader when this much waits: a quarter of the ring. */
const volatile __u32 cfg_wake_bytes = 1 << 20;
const volatile __u32 cfg_critical_wake_bytes = 1 << 18;

/* Per process (on the thread group's leader, copied to threads for an exec from one). */
struct task_state {
	__u64 home;	   /* cgroup id: the container joined last, see programs/cgroup.bpf.c */
	__u32 phase;	   /* enum hg_phase */
	__u32 join_mnt_ns; /* mount namespace of the runtime that put it there: setup lasts while an exec is in it */
	__u32 setup_execs_count;
	__u32 has_ended;   /* its exit was reported */
	__u64 cap_lacking; /* what it was not permitted when last looked at, see task__follow_caps(); 0 until then */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_state);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct map_cgroup);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct map_container);
} containers SEC(".maps");

/* Thread groups that left their container's cgroups, for hooks that cannot read task storage. Value: home. No LRU map: one that
 * is full is to be counted, and an entry goes when its process ends. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} moved SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct map_control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct map_profile);
} profiles SEC(".maps");

/* Of profiles in force, by the last bits of their ids: filter__of(). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HG_FILTERS);
	__type(key, __u32);
	__type(value, struct map_filter);
} filters SEC(".maps");

/* Sizes of the tables of rules: an entry costs memory only when it is there, but each of the possible ones 16 bytes of buckets. All
 * profiles share them, of two programs while one takes over from the other. Full: the new set is refused whole (kernel_tables_full). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_exec_key);
	__type(value, struct map_exec_result);
} exec_exact SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_exec_key);
	__type(value, struct map_exec_result);
} exec_base SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_exec_prefix_key);
	__type(value, struct map_exec_result);
} exec_prefix SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_exec_key);
	__type(value, struct map_file_result);
} file_exact SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_exec_key);
	__type(value, struct map_file_result);
} file_base SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_exec_prefix_key);
	__type(value, struct map_file_result);
} file_prefix SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct map_capability_rules);
} capability_rules SEC(".maps");

/* Of mount and signal rules: text or number -> set of what entries say of it, and the entries (programs/said.bpf.c). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_exec_key);
	__type(value, __u64);
} said_exact SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_exec_key);
	__type(value, __u64);
} said_base SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_exec_prefix_key);
	__type(value, __u64);
} said_prefix SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_said_number);
	__type(value, __u64);
} said_numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_said_key);
	__type(value, struct map_said_rules);
} said_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_connect_key);
	__type(value, struct map_connect_node);
} connect_nodes SEC(".maps");

/* Local addresses and ports of listen rules; their TCP side speaks. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_connect_key);
	__type(value, struct map_connect_node);
} listen_nodes SEC(".maps");

/* What rules have to see of acts on sockets: of the masks, bit 2 * (act - HG_ACT_SOCKET) is an act at this local address and port, the
 * one above it the act at this remote one. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_connect_key);
	__type(value, struct map_connect_node);
} end_nodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_syscall_key);
	__type(value, struct map_syscall_rules);
} syscall_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct map_syscalls_seen);
} syscalls_seen SEC(".maps");

/* Nothing is ignored until user space says so. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct map_syscalls_ignored);
} syscalls_ignored SEC(".maps");

/* Up to how many of its acts (acts_taken) a policy may: written by user space (the circuit breaker, src/respond/allowances.ts). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HG_POLICIES_MAX);
	__type(key, __u32);
	__type(value, __s64);
} budgets SEC(".maps");

/* How often a policy took one of them: for a rule's first act in a container. Never falls, and only the hooks write it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HG_POLICIES_MAX);
	__type(key, __u32);
	__type(value, __u64);
} acts_taken SEC(".maps");

/* Containers already read in this round of the memory iterator. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} memory_rounds SEC(".maps");

/* Unconnected UDP: what a process sent to lately. */
struct send_key {
	__u8 address[16];
	__u32 pid;
	__u16 port;
	__u16 reserved;
};

struct send_value {
	__u64 reported_ns;
	__u64 repeats_count;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct send_key);
	__type(value, struct send_value);
} sends SEC(".maps");

/* Whose a socket is. Only sockets of watched tasks have one; a connection that is accepted gets its listener's (CLONE). */
struct socket_state {
	__u64 home;
	__u64 start_ns; /* of the process */
	__u64 since_ns; /* when it began to listen, to connect, or was established */
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 gid;
	__u32 role;  /* enum hg_socket_role */
	__u32 flags; /* enum hg_socket_flag */
	__u32 phase; /* enum hg_phase */
	__u32 names; /* enum names_state, see programs/packet.bpf.c */
	/* The first byte of each direction, by TCP's sequence numbers, and how far what was told reaches. */
	__u32 first_seq[2];
	__u32 told_bytes;   /* of what goes out */
	__u32 wanted_bytes; /* of what goes out: no more than this holds the name */
	__u16 sent_port;    /* UDP: where a call of the process that named an address sent to last; 0 nowhere */
	__u16 reserved;
	__u8 sent_address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_state);
} sockets SEC(".maps");

/* What was reported lately of connections between two ends: a busy server's are counted, not reported one by one. */
struct flow_key {
	__u8 remote_address[16];
	__u32 pid;
	__u16 port; /* the serving end's */
	__u8 kind;  /* enum hg_kind */
	__u8 role;  /* enum hg_socket_role: both ends can be one process */
};

struct flow_value {
	__u64 reported_ns;
	__u64 repeats_count;
	__u64 sent_bytes;
	__u64 received_bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct flow_key);
	__type(value, struct flow_value);
} flows SEC(".maps");

/* The first test of every call that ends. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HG_AT_ENDS);
	__type(key, __u32);
	__type(value, struct map_calls_at_end);
} calls_at_end SEC(".maps");

/* What of which syscall is looked at. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HG_RECIPES_MAX);
	__type(key, __u32);
	__type(value, struct map_recipe);
} recipes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct map_place_prefix_key);
	__type(value, __u32); /* set of classes */
} place_prefixes SEC(".maps");

/* What the LSM's hooks about files leave to the end of the call, per thread: a refusal of an O_CREAT of which it was not known
 * whether there is anything to make (file__defer()), and that an act was spared. */
struct deferred {
	__u32 is_waiting;
	__u32 spared_nr; /* one more than the number of the call */
	__u32 strings_bytes;
	__u32 name_hash; /* of `dentry`, as `parent`: by them it is known again */
	__u64 dentry;	 /* struct dentry * of the name that was to be made */
	__u64 parent;
	struct ev_call call;
	char strings[HG_PATH_MAX_BYTES];
};

/* Set once anything was ever left there: until then `deferrals` is empty and need not be asked. */
__u32 any_act_deferred = 0;

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct deferred);
} deferrals SEC(".maps");

/* Acts that a process repeats on the same object: when the last was reported, and how many came since. */
struct repeat_key {
	__u64 object[2]; /* inode and device, or address */
	__u32 pid;
	__u16 port;
	__u8 act;
	__u8 detail; /* access; high bit: failed */
};

struct repeat_value {
	__u64 reported_ns;
	__u64 repeats_count;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct repeat_key);
	__type(value, struct repeat_value);
} repeats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sequences SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HG_DROP_MAX *HG_KIND_MAX); /* cause * HG_KIND_MAX + kind */
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

/* Of the drops of events, whose they were. An entry that is pushed out takes only this attribution with it: `drops` has the sum. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct map_loss_key);
	__type(value, __u64);
} losses SEC(".maps");

/* Bulk events: all but those of `critical`. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20); /* cfg */
} events SEC(".maps");

/* Life of processes and containers, OOM kills, and whatever was acted on or violates a rule: bulk events cannot fill it. The
 * reader merges the two by boot_ns; the numbers of a CPU run on over both. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* cfg */
} critical SEC(".maps");

#endif
