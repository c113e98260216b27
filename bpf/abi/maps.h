/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Of the contract (../abi.h): keys and values of the maps that user space reads or writes. */
#ifndef HULLGUARD_ABI_MAPS_H
#define HULLGUARD_ABI_MAPS_H

#include "numbers.h"

/* Value of `cgroups`, key: cgroup id. Absent: host or unwatched. A cgroup made below a container's is its copy.
 * Written by user space once it knows the cgroup; by the kernel at cgroup_mkdir. */
struct map_cgroup {
	__u64 root_id;	  /* the container's own cgroup */
	__u32 profile[2]; /* by parity of the program version: one write of `control.version` swaps all */
	__u32 root_level;
	__u32 state; /* enum hg_cgroup_state */
	__u32 want;  /* enum hg_want */
	__u32 reserved;
	__u64 acts;	       /* bit per enum hg_act that is reported */
	__u64 acts_aggregated; /* of those, the ones whose repeats are counted instead of reported one by one */
};

/* Value of `containers`, key: map_cgroup.root_id. Written by the kernel side alone. */
struct map_container {
	__u64 acted;	   /* bit per kernel rule that acted in this container since its profile was set */
	__u64 root_dentry; /* identity of the container's root directory; 0 until its first exec */
	__u32 mnt_ns;	   /* the container's own mount namespace; 0 until its first exec */
	__u32 profile;	   /* `acted` speaks of this profile's bits */
};

/* The single entry of `control`. */
struct map_control {
	__u32 version;	    /* of the program in force; parity chooses map_cgroup.profile */
	__u32 want_host;    /* enum hg_want, for tasks outside every watched cgroup */
	__u32 agent_pid;    /* never acted on */
	__u32 blocking;	    /* 0: observe, whatever the profiles say */
	__u32 round;	    /* of the memory iterator: a container is read once a round */
	__u32 want_pending; /* enum hg_want, for cgroups that nobody has decided yet, on top of processes and connects */
	__u64 acts_host;    /* for tasks outside every watched cgroup */
	__u64 acts_host_aggregated;
	__u64 acts_pending; /* for cgroups of which user space has not said yet what they are */
};

/* The acts that are wanted of the users from this one up to that of the next range. */
struct map_user_range {
	__u64 acts; /* bit per enum hg_act */
	__u32 from; /* as ev_header.uid */
	__u32 reserved;
};

/* Value of `filters`, and part of that of `profiles`. */
struct map_filter {
	__u64 acts_by_user;  /* bit per enum hg_act: reported of the users alone of whom map_profile.users says so */
	__u32 place_classes; /* set of classes: acts on files of others are not reported; 0: all are */
	__u32 place_prefixes_count; /* entries of `place_prefixes`; 0: acts on every path are reported */
	__u32 place_elsewhere;	    /* classes that are reported of a path whose top is none of the entries' */
	__u32 profile;		    /* whose it is */
	__u64 place_tops
		[HG_TOP_WORDS]; /* by the first HG_TOP_BYTES of a path (HG_TOP_FACTOR): an entry may be about it */
};

/* Value of `profiles`, key: profile id. Masks: bit i is kernel rule i of this profile. */
struct map_profile {
	struct map_filter filter;
	__u64 exec_rules; /* rules of kind exec answered here */
	__u64 exec_allow; /* of those, the ones with an allow list: an uncovered name violates */
	__u64 connect_rules;
	__u64 syscall_rules;
	__u64 deny;			    /* strongest action in force is deny */
	__u64 kill;			    /* … is kill or stronger */
	__u64 setup;			    /* judged in phase setup too */
	__u32 policy[HG_RULES_PER_PROFILE]; /* breaker budget of the rule's policy */
	__u32 urgent; /* enum hg_want: classes with a rule that acts and is left to user space: it is woken at once */
	__u32 users_count; /* of `users` */
	__u64 acts_urgent; /* bit per enum hg_act: as `urgent` */
	__u64 file_rules;
	__u64 listen_rules;
	__u64 file_default
		[HG_FILE_ACCESSES]; /* of file_rules, those that a path violates which no entry of theirs names */
	__u32 file_access;	    /* enum hg_file_access: a rule that refuses or kills is about these */
	__u32 file_bases_count;	    /* entries of `file_base` */
	__u64 acts_by_end;   /* bit per enum hg_act: on sockets of IPv4 and IPv6 reported where `end_nodes` says so */
	__u64 acts_internet; /* … reported on such sockets only */
	struct map_user_range users[HG_USER_RANGES]; /* ascending; the first is from 0 on, the last up to the end */
};

/* A result resolved for all rules of a profile: `decided` rules have an entry for this name, `violated` of them deny it. */
struct map_exec_result {
	__u64 decided;
	__u64 violated;
};

/* Keys are zero-padded. exact: the whole path; base: the last component of an entry `**`, `name`. Also of files. */
struct map_exec_key {
	__u32 profile;
	__u32 length_bytes;
	char path[HG_KEY_PATH_BYTES];
};

/* LPM: directories of entries that end in a `**` component; each ends in '/'. Of files a path is looked up with a slash behind it. */
struct map_exec_prefix_key {
	__u32 prefix_bits; /* over profile and path */
	__u32 profile;
	char path[HG_KEY_PATH_BYTES];
};

/* As map_exec_result, by bit of enum hg_file_access. Of `file_exact` all rules are decided that have an entry, of `file_prefix`
 * those that have one with a root. */
struct map_file_result {
	__u64 decided[HG_FILE_ACCESSES];
	__u64 violated[HG_FILE_ACCESSES];
};

/* Key of `said_numbers`. The keys of texts are those of execs, with the owner in the place of the profile. Values: set of what is said. */
struct map_said_number {
	__u32 owner;
	__u32 number;
};

/* Value of `capability_rules`, key: profile id. Rules that act. */
struct map_capability_rules {
	__u64 gain;			     /* rules about what a process comes to hold */
	__u64 use;			     /* … about what it uses */
	__u64 violated[HG_CAPABILITIES_MAX]; /* by capability: the rules that it violates */
};

/* Key of `said_rules`. */
struct map_said_key {
	__u32 profile;
	__u32 kind; /* enum hg_said_kind */
};

struct map_said_entry {
	__u64 needed;	/* set of what it says: all of it must hold */
	__u64 rule;	/* its one bit */
	__u64 violated; /* the same bit when the entry denies, else 0 */
};

/* All rules of one kind: of each the first entry that matches decides. */
struct map_said_rules {
	__u64 rules;
	__u64 by_default; /* of these, the ones that are violated where no entry matches */
	__u64 by_target;  /* of these, the ones whose entries say nothing but targets */
	__u32 entries_count;
	__u32 reserved;
	struct map_said_entry entries[HG_SAID_MAX];
};

struct map_connect_key {
	__u32 prefix_bits; /* over profile and address */
	__u32 profile;
	__u8 address[16];
};

struct map_connect_range {
	__u16 port_from; /* inclusive, host order */
	__u16 port_to;
	__u32 reserved;
	__u64 violated_tcp;
	__u64 violated_udp;
};

/* Resolved for all connect rules of the profile. Ranges are sorted, disjoint and cover 0..65535. */
struct map_connect_node {
	__u32 ranges_count;
	__u32 reserved;
	struct map_connect_range ranges[HG_CONNECT_RANGES];
};

/* LPM, value set of classes: acts on files whose path starts so are reported when they are of one of these. The longest entry
 * speaks for the shorter ones too. */
struct map_place_prefix_key {
	__u32 prefix_bits; /* over profile and path */
	__u32 profile;
	char path[HG_KEY_PATH_BYTES];
};

/* What of a syscall is looked at. Arguments count from 1; 0: none. */
enum hg_recipe_flag {
	HG_RECIPE_RESULT_FD = 1,    /* the result is a descriptor: its facts are wanted */
	HG_RECIPE_RAW2 = 2,	    /* path2_arg is text, not a path */
	HG_RECIPE_RAW = 4,	    /* path_arg is text, not a path */
	HG_RECIPE_ARGS_POINTER = 8, /* ia32: the arguments stand in user memory, where the last of them points */
	HG_RECIPE_EMPTY_PATH = 16,  /* with an empty path the call is about the descriptor itself */
	HG_RECIPE_MESSAGE = 32,	    /* the address stands in the struct msghdr that address_arg points to */
	HG_RECIPE_OPEN_HOW = 64,    /* flags, mode and resolve stand in user memory, where the third argument points */
	HG_RECIPE_BY_FUNCTION =
		128, /* told at the end of the kernel's function that carries it out, not at that of the call */
};

#define HG_RECIPES_MAX 2048 /* HG_SYSCALLS_MAX for each ABI, and for the calls of ia32's socketcall */

/* Value of `recipes`, an array with HG_SYSCALLS_MAX entries per ABI and then those of socketcall. Written by user space for the acts somebody wants. */
struct map_recipe {
	__u8 act;   /* enum hg_act; 0: nobody wants it */
	__u8 flags; /* enum hg_recipe_flag */
	__u8 path_arg;
	__u8 dirfd_arg;
	__u8 path2_arg;
	__u8 dirfd2_arg;
	__u8 fd_arg;
	__u8 address_arg; /* of a socket's address; of an open, its flags */
};

/* Key of `syscall_rules`. */
struct map_syscall_key {
	__u32 profile;
	__u32 abi;
};

/* Bit set: the call violates a kernel rule; then `violated` says which (resolved in user space from the same table). */
struct map_syscall_rules {
	__u64 outside[HG_SYSCALL_WORDS];
	__u64 kill_mask[HG_SYSCALL_WORDS]; /* of these, the ones that violate a rule with kill */
	__u64 at_end[HG_SYSCALL_WORDS];	   /* … that are judged when they end: none with kill */
};

/* Whose calls: key of `calls_at_end`. Of rules all ABIs together, which is asked of every call of the host, and then each. */
enum hg_at_end {
	HG_AT_END_ACTS = 0, /* those that are acts somebody wants: `recipes` has them */
	HG_AT_END_RULES =
		1, /* those that a rule in force is about and that are judged at their end: `syscall_rules` has them */
	HG_AT_END_RULES_OF = 2, /* … of the ABI 0, and behind it those of the others */
};
#define HG_AT_ENDS (HG_AT_END_RULES_OF + HG_ABIS)

/* Value of `calls_at_end`. Bit set: calls of this number are looked at when they end. */
struct map_calls_at_end {
	__u64 calls[HG_SYSCALL_WORDS];
};

/* Value of `syscalls_ignored`, for the entry of calls. Bit set: no rule in force can be violated by the call, and nobody asks for first
 * uses; by ABI. */
struct map_syscalls_ignored {
	__u64 calls[HG_ABIS * HG_SYSCALL_WORDS];
};

/* Value of `syscalls_seen`, key: container's cgroup id. */
struct map_syscalls_seen {
	__u64 seen[HG_ABIS][HG_SYSCALL_WORDS];
};

/* Key of `losses`: whose events were lost or cut. */
struct map_loss_key {
	__u64 cgroup_id; /* ev_header.cgroup_id */
	__u32 profile;
	__u16 cause; /* enum hg_drop */
	__u16 kind;  /* enum hg_kind */
};

#endif
