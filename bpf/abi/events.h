/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Of the contract (../abi.h): what the ring carries, and what iterators give. */
#ifndef HULLGUARD_ABI_EVENTS_H
#define HULLGUARD_ABI_EVENTS_H

#include "numbers.h"

/* Comes first in every event. */
struct ev_header {
	__u32 size_bytes; /* whole event with its strings, without the ring's own header and padding */
	__u16 kind;	  /* enum hg_kind */
	__u8 phase;	  /* enum hg_phase */
	__u8 action;	  /* enum hg_action */
	__u32 cpu;
	__u32 program_version; /* the program in force when the hook ran */
	__u64 cpu_seq;	       /* 1, 2, 3, … per CPU; taken before the reserve: a hole is a lost event */
	__u64 boot_ns;
	__u64 cgroup_id; /* the task's home: the container it joined, wherever it moved itself since */
	__u64 start_ns;	 /* start of the process (thread group) */
	__u32 pid;	 /* thread group id, initial pid namespace */
	__u32 tid;
	__u32 uid; /* effective, initial user namespace */
	__u32 gid;
	__u32 profile;	/* profile in force, 0 none */
	__u32 rung;	/* enum hg_rung: the kind of hook that this event comes from */
	__u64 decided;	/* bit per kernel rule of the profile that was answered here */
	__u64 violated; /* bit per kernel rule of the profile that this act violates */
};

/* What a process is to its session, to audit and to its own pid namespace, when it was read. */
struct process_facts {
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_inheritable;
	__u32 loginuid; /* ~0: nobody logged in, or a kernel without audit */
	__u32 tty;	/* new_encode_dev form, 0 none */
	__u32 vpid;	/* these three in the process's own pid namespace */
	__u32 vpgid;
	__u32 sid;
	__u32 reserved;
};

/* Strings follow in this order, not terminated: invoked, file, cwd, args, env (each argument and variable ends in NUL). */
struct ev_exec {
	struct ev_header header;
	__u64 inode;
	__u64 parent_start_ns;
	__u32 parent_pid;
	__u32 dev; /* new_encode_dev form: what stat(2) shows, major and minor */
	__u32 mnt_ns;
	__u32 flags; /* enum hg_exec_flag */
	__u32 invoked_bytes;
	__u32 file_bytes;
	__u32 cwd_bytes;
	__u32 args_bytes;
	__u32 real_uid;
	__u32 real_gid;
	__u32 env_bytes; /* 0 without HG_WANT_ENV */
	__u32 reserved;
	struct process_facts facts;
	char comm[HG_COMM_BYTES];
	__u64 cap_gained; /* permitted now and not before; 0 for the exec that ends setup, and where it is not known */
};

/* header: the parent (who acted). */
struct ev_fork {
	struct ev_header header;
	__u64 child_start_ns;
	__u32 child_pid;
	__u32 child_vpid; /* in the child's own pid namespace */
	__u64 cap_gained; /* permitted to the child and not to its parent: it was made in a user namespace of its own */
};

struct ev_exit {
	struct ev_header header;
	__u32 code;
	__u32 signal;
	__u32 flags; /* enum hg_exit_flag */
	__u32 reserved;
};

struct ev_connect {
	struct ev_header header;
	__u8 address[16];
	__u16 port;	     /* host order */
	__u8 proto;	     /* IPPROTO_* */
	__u8 family;	     /* 4 or 6: of the call (a mapped address keeps 6) */
	__u32 repeats_count; /* sends to this destination by this process since the last report, not reported one by one */
	__u64 cookie;	     /* of the socket; 0: this hook cannot tell */
};

/* LISTEN, ACCEPT, CONNECTED, CLOSE. header: the socket's owner (who listened or connected; for CLOSE who closed it, where the
 * kernel's caller was that process). */
struct ev_socket {
	struct ev_header header;
	__u8 local_address[16];
	__u8 remote_address[16];
	__u64 cookie;
	__u64 duration_ns; /* CONNECTED: of the handshake; CLOSE: since it was established, else since it began */
	__u64 sent_bytes;  /* payload, without what was sent again */
	__u64 received_bytes;
	__u64 repeats_sent_bytes; /* of the connections in repeats_count */
	__u64 repeats_received_bytes;
	__u32 netns;	     /* inode number */
	__u32 repeats_count; /* the same between the same ends since the last report, not reported one by one */
	__u16 local_port;    /* host order */
	__u16 remote_port;
	__u16 error; /* errno that the socket ended with; 0 none */
	__u8 family; /* 4 or 6: of the socket (a mapped address keeps 6) */
	__u8 role;   /* enum hg_socket_role */
	__u32 backlog;
	__u32 flags; /* enum hg_socket_flag */
};

/* What a watched socket sent or got: a DNS message, or a part of the front of a connection. header: the socket's owner. The
 * bytes follow, without the headers of IP, UDP and TCP. */
struct ev_packet {
	struct ev_header header;
	__u8 remote_address[16]; /* as the process knows it: before the host translates it */
	__u64 cookie;
	__u32 offset_bytes;  /* TCP: where the bytes stand in their direction of the connection */
	__u32 payload_bytes; /* of the packet, from there on: more than data_bytes when it was cut */
	__u32 data_bytes;
	__u16 local_port; /* host order */
	__u16 remote_port;
	__u8 proto;	/* IPPROTO_* */
	__u8 family;	/* 4 or 6: of the socket (a mapped address keeps 6) */
	__u8 direction; /* enum hg_direction */
	__u8 flags;	/* enum hg_packet_flag */
	__u32 reserved;
};

struct ev_syscall {
	struct ev_header header;
	__s64 result; /* with HG_SYSCALL_RETURNED */
	__u32 nr;
	__u16 abi;   /* 0 native, 1 ia32 or aarch32, 2 x32 */
	__u16 flags; /* enum hg_syscall_flag */
};

/* One act that is a syscall. Which members speak is said by the act (docs/events.md); the others are 0.
 * Strings follow in this order, not terminated: path, path2, raw, raw2. path and path2 are absolute, from the root of the
 * mount namespace; raw and raw2 are what the call was given. */
struct ev_call {
	struct ev_header header;
	__s64 result;
	__u64 args[6]; /* as the call had them; 32 bits each through ia32 and aarch32 */
	__u64 facts
		[4]; /* after the call. setuid: real, effective, saved, fs user; setgid: groups; capset: effective, permitted,
			  * inheritable, ambient; open: flags, mode, resolve, and of a device its numbers (new_encode_dev form);
			  * capable: the capability, and the inode number of the user namespace that it is asked in */
	__u64 inode;
	__u64 target_start_ns;
	__u64 target_cgroup_id; /* of the process acted on; of a unix socket, its peer's */
	__u32 target_pid;
	__u32 nr;	   /* in the table of `abi`, x32 without its marker */
	__u16 abi;	   /* 0 native, 1 ia32 or aarch32, 2 x32 */
	__u16 act;	   /* enum hg_act */
	__u32 flags;	   /* enum hg_call_flag */
	__s32 fd;	   /* the descriptor that inode, dev, mode and the socket speak of; -1 none */
	__u32 dev;	   /* new_encode_dev form */
	__u16 mode;	   /* type and permissions, as stat(2) shows them */
	__u8 fd_kind;	   /* enum hg_fd_kind */
	__u8 access;	   /* enum hg_access */
	__u8 family;	   /* AF_* of the socket, 0 none */
	__u8 proto;	   /* IPPROTO_* */
	__u16 socket_type; /* SOCK_* */
	__u16 local_port;  /* host order */
	__u16 remote_port;
	__u8 local[16];
	__u8 remote[16];
	char tag[HG_COMM_BYTES]; /* file system type of a mount, new name of a prctl */
	__u32 repeats_count; /* the same act on the same object by this process since the last report, not reported one by one */
	__u32 path_bytes;
	__u32 path2_bytes;
	__u32 raw_bytes;
	__u32 raw2_bytes;
	__u64 cap_gained; /* of setns, unshare: permitted after the call and not before; 0 where it is not known */
};

/* header: the victim. */
struct ev_oom {
	struct ev_header header;
	char comm[HG_COMM_BYTES];
};

/* The path in the hierarchy follows. For JOIN, header is the task that joined. */
struct ev_cgroup {
	struct ev_header header;
	__u64 id;
	__u64 parent_id;
	__u32 level;
	__u32 path_bytes;
};

/* The resolved executable follows. header.profile is unset. */
struct ev_task {
	struct ev_header header;
	__u64 parent_start_ns;
	__u32 parent_pid;
	__u32 file_bytes;
	__u64 inode; /* of the executable */
	__u32 flags; /* enum hg_exec_flag: MEMFD, UPPER_LAYER */
	__u32 reserved;
	struct process_facts facts;
	char comm[HG_COMM_BYTES];
};

/* One reading per container. Limits: ~0 when none. */
struct ev_memory {
	struct ev_header header;
	__u64 current_bytes;
	__u64 peak_bytes;
	__u64 limit_bytes;
	__u64 inactive_file_bytes;
};

#endif
