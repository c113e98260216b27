/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one contract between the kernel side and user space: every struct that crosses the ring, an iterator or a map.
 * src/sensor/generated/abi.ts is generated from the BTF of the compiled object (scripts/generate-abi.mjs) and CI fails
 * when the two differ, so offsets are written down nowhere else.
 *
 * Every wire struct is naturally aligned and has no implicit padding (checked by _Static_assert at the end).
 * Little-endian hosts only. Times are CLOCK_BOOTTIME ns. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d.
 */
#ifndef HULLGUARD_ABI_H
#define HULLGUARD_ABI_H

#define HG_ABI_VERSION 1

#define HG_PATH_MAX_BYTES 4096	/* PATH_MAX, linux/limits.h */
#define HG_ARGS_MAX_BYTES 32768 /* DESIGN: argv up to 32 KiB, then the truncation flag */
#define HG_ENV_MAX_BYTES 4096	/* as much of the environment as a rule that reads it gets */
#define HG_KEY_PATH_BYTES 240	/* longest path answered from a kernel map; an LPM key's data is at most 256 bytes */
#define HG_COMM_BYTES 16	/* TASK_COMM_LEN */
#define HG_SYSCALLS_MAX 512	/* x86-64 and arm64 tables end below this */
#define HG_SYSCALL_WORDS 8	/* HG_SYSCALLS_MAX / 64 */
#define HG_ABIS 3		/* native, the machine's 32-bit ABI (ia32, aarch32), x32 */
#define HG_CONNECT_RANGES 32 /* elementary port intervals of one network node; a node with more stays in user space */
#define HG_RULES_PER_PROFILE 64	    /* one bit of a mask per rule answered in the kernel */
#define HG_POLICIES_MAX 1024	    /* breaker budgets */
#define HG_PACKET_SMALL_BYTES 512   /* room of an event: most DNS messages … */
#define HG_PACKET_MEDIUM_BYTES 2048 /* … most client hellos */
#define HG_PACKET_MAX_BYTES 4096    /* kept of a DNS message, and of each direction of a connection */
#define HG_FILE_ACCESSES 8	    /* bits of enum hg_file_access */
#define HG_CAPABILITIES_MAX 64	    /* bits of the kernel's sets of capabilities */
#define HG_USER_RANGES 16	    /* of a profile: a set of more is widened until it fits */
#define HG_SAID_MAX 64 /* distinct things that the entries of mount, or of signal, rules say; and such entries */

enum hg_kind {
	HG_KIND_NONE = 0,
	HG_KIND_EXEC = 1,
	HG_KIND_FORK = 2,
	HG_KIND_EXIT = 3,
	HG_KIND_CONNECT = 4,
	HG_KIND_SYSCALL = 5,
	HG_KIND_OOM = 6,
	HG_KIND_CGROUP_MKDIR = 7,
	HG_KIND_CGROUP_RMDIR = 8,
	HG_KIND_CGROUP_JOIN = 9,
	HG_KIND_TASK = 10,   /* iter: one existing process */
	HG_KIND_MEMORY = 11, /* iter: one cgroup's memory */
	HG_KIND_CALL = 12,   /* an act that is a syscall: enum hg_act says which */
	HG_KIND_LISTEN = 13,
	HG_KIND_ACCEPT = 14,
	HG_KIND_CONNECTED = 15, /* what came of a TCP connect */
	HG_KIND_CLOSE = 16,
	HG_KIND_PACKET = 17, /* first bytes of what a watched socket sent or got */
	HG_KIND_MAX = 18,
};

enum hg_phase {
	HG_PHASE_RUN = 0,
	HG_PHASE_SETUP = 1,
};

/* What the kernel did with the act of an event. */
enum hg_action {
	HG_ACTION_NONE = 0,
	HG_ACTION_DENIED = 1,
	HG_ACTION_KILLED = 2,		   /* the signal was accepted by the kernel */
	HG_ACTION_FAILED = 3,		   /* bpf_send_signal refused; user space must act */
	HG_ACTION_SPARED = 4,		   /* the breaker's budget was spent */
	HG_ACTION_DENIED_KILL_PENDING = 5, /* refused here; user space ends the process (the hook cannot signal) */
};

/* The kind of hook that an event comes from; src/sensor/rungs.ts says what each yields. */
enum hg_rung {
	HG_RUNG_TRACEPOINT = 0, /* tp_btf or raw_tp on the act itself */
	HG_RUNG_LSM = 1,	/* before the act, and may refuse it */
	HG_RUNG_CGROUP = 2,	/* before the act, and may refuse it */
	HG_RUNG_SYSCALL = 3,	/* at the entry or the end of the call */
	HG_RUNG_FUNCTION = 4,	/* fexit: at the end of a function of the kernel */
};

/* Why an attempt was lost or cut; the index of `drops` and a label of the exported counter. */
enum hg_drop {
	HG_DROP_RING_FULL = 0,
	HG_DROP_SCRATCH = 1,	  /* no scratch buffer for this CPU */
	HG_DROP_TASKS_FULL = 2,	  /* task storage could not be made */
	HG_DROP_CGROUPS_FULL = 3, /* no room in the cgroups map: a cgroup stays unwatched */
	HG_DROP_HELPER = 4, /* what was to be read, copied or kept could not be: memory, packet, or map without room */
	HG_DROP_SYSCALLS_FULL = 5,     /* no bitmap for a container's syscalls */
	HG_DROP_UNREPORTED_ACTION = 6, /* denied or killed, but the event found no room */
	HG_DROP_REPEAT = 7, /* not told by itself, but counted in the repeats_count of a later event, if one comes */
	HG_DROP_SOCKETS_FULL = 8,     /* a socket's owner could not be kept */
	HG_DROP_TRUNCATED = 9,	      /* an event with a part cut off: its flags say which */
	HG_DROP_CONTAINERS_FULL = 10, /* no room in the containers map: nothing acts in this container */
	HG_DROP_MOVED_FULL = 11,      /* a process that left its container: its connects are taken for the host's */
	HG_DROP_MAX = 12,
};

/* Flags of a cgroup's entry. */
enum hg_cgroup_state {
	HG_CGROUP_PENDING = 0,	 /* made after the probes were attached; user space has not said yet what it is */
	HG_CGROUP_CONTAINER = 1, /* confirmed */
};

/* What a syscall does; bit 1 << act of the `acts` masks. The record of the event has the kind of the same name. */
enum hg_act {
	HG_ACT_NONE = 0,
	HG_ACT_OPEN = 1,
	HG_ACT_UNLINK = 2,
	HG_ACT_RENAME = 3,
	HG_ACT_LINK = 4,
	HG_ACT_SYMLINK = 5,
	HG_ACT_CHMOD = 6,
	HG_ACT_CHOWN = 7,
	HG_ACT_MKDIR = 8,
	HG_ACT_RMDIR = 9,
	HG_ACT_TRUNCATE = 10,
	HG_ACT_SIGNAL = 11,
	HG_ACT_SETUID = 12,
	HG_ACT_SETGID = 13,
	HG_ACT_CAPSET = 14,
	HG_ACT_PTRACE = 15,
	HG_ACT_SETNS = 16,
	HG_ACT_UNSHARE = 17,
	HG_ACT_MOUNT = 18,
	HG_ACT_UMOUNT = 19,
	HG_ACT_PIVOT_ROOT = 20,
	HG_ACT_CHROOT = 21,
	HG_ACT_BPF = 22,
	HG_ACT_MODULE = 23,
	HG_ACT_MEMFD = 24,
	HG_ACT_MMAP = 25,     /* executable and writable, or executable without a file */
	HG_ACT_MPROTECT = 26, /* to executable */
	HG_ACT_PRCTL = 27,    /* the options that bear on security */
	HG_ACT_USERFAULTFD = 28,
	HG_ACT_SOCKET = 29,
	HG_ACT_BIND = 30,
	HG_ACT_LISTEN = 31,
	HG_ACT_ACCEPT = 32,
	HG_ACT_SEND = 33,
	HG_ACT_RECV = 34,
	HG_ACT_DUP = 35,
	HG_ACT_IPC = 36,	  /* memory, queues and semaphores that processes share by a key or name */
	HG_ACT_UNIX_CONNECT = 37, /* connects of other sockets come from their own hooks */
	HG_ACT_CAPABLE = 38,	  /* no call of its own: the kernel asked whether the process has a capability */
	HG_ACT_MAX = 39,
};

/* Opcodes of an io_uring that do what an act of that name does: ev_call.nr with HG_CALL_IO_URING. Values: include/uapi/linux/io_uring.h. */
enum hg_ring_opcode {
	HG_RING_SENDMSG = 9,
	HG_RING_RECVMSG = 10,
	HG_RING_ACCEPT = 13,
	HG_RING_OPENAT = 18,
	HG_RING_SEND = 26,
	HG_RING_RECV = 27,
	HG_RING_OPENAT2 = 28,
	HG_RING_RENAMEAT = 35,
	HG_RING_UNLINKAT = 36,
	HG_RING_MKDIRAT = 37,
	HG_RING_SYMLINKAT = 38,
	HG_RING_LINKAT = 39,
	HG_RING_SOCKET = 45,
	HG_RING_SEND_ZC = 47,
	HG_RING_SENDMSG_ZC = 48,
	HG_RING_FTRUNCATE = 55,
	HG_RING_BIND = 56,
	HG_RING_LISTEN = 57,
};

/* How a file is opened. */
enum hg_access {
	HG_ACCESS_READ = 1,
	HG_ACCESS_WRITE = 2,
	HG_ACCESS_CREATE = 4, /* O_CREAT or O_TMPFILE was asked for */
};

/* What a profile's filter tells apart of acts on files. Each open is of one class, class = kind * 4 + traits, and so is each other
 * act (enum hg_place_class); a set of classes is a mask of 1 << class, so that sets are joined and cut as conditions are. */
enum hg_open_kind {
	HG_OPEN_READ = 0,
	HG_OPEN_WRITE = 1,
	HG_OPEN_READ_WRITE = 2,
	HG_OPEN_NEITHER = 3, /* O_PATH */
	HG_OPEN_FAILED = 4,  /* whatever it asked for */
	HG_OPEN_KINDS = 5,
};

enum hg_open_trait {
	HG_OPEN_DOTDOT = 1, /* the path as the call gave it holds `..` */
	HG_OPEN_CREATE = 2, /* as HG_ACCESS_CREATE */
};

enum hg_place_class {
	HG_PLACE_DONE = HG_OPEN_KINDS * 4, /* + act - HG_ACT_UNLINK, up to HG_ACT_TRUNCATE: it succeeded */
	HG_PLACE_FAILED = HG_PLACE_DONE + HG_ACT_TRUNCATE - HG_ACT_UNLINK + 1, /* whichever of those it was */
	HG_PLACE_CLASSES,
};

/* What is done to a file, as file rules have it (FILE_ACCESS of src/policy/model.ts; a test holds the two against each other). */
enum hg_file_access {
	HG_FILE_READ = 1,
	HG_FILE_WRITE = 2,
	HG_FILE_CREATE = 4,
	HG_FILE_DELETE = 8,
	HG_FILE_RENAME = 16,
	HG_FILE_LINK = 32,
	HG_FILE_CHMOD = 64,
	HG_FILE_CHOWN = 128,
};

/* What an entry of a mount or signal rule says something about. The owner of a key of `said_*` is profile * HG_SAID_WHATS + this. */
enum hg_said_what {
	HG_SAID_TARGET = 0, /* path */
	HG_SAID_SOURCE = 1, /* text */
	HG_SAID_FSTYPE = 2, /* text */
	HG_SAID_EXE = 3,    /* path */
	HG_SAID_USER = 4,   /* number */
	HG_SAID_GROUP = 5,  /* number */
	HG_SAID_WHATS = 8,
};

/* Kinds of rules in `said_rules`. */
enum hg_said_kind {
	HG_SAID_MOUNT = 0,
	HG_SAID_SIGNAL = 1,
};

enum hg_call_flag {
	HG_CALL_HAS_RESULT = 1,	    /* `result` is what the call returned */
	HG_CALL_UPPER_LAYER = 2,    /* the file lies in the upper layer of an overlay */
	HG_CALL_MEMFD = 4,	    /* … in memory only */
	HG_CALL_PATH_TRUNCATED = 8, /* the front of a path is missing, or its end was not read */
	HG_CALL_PATH_UNRESOLVED =
		16,	       /* `path` is the user's string joined to its directory: links in it are not followed */
	HG_CALL_IO_URING = 32, /* done by a ring, not by a syscall: nr is the ring's opcode */
	HG_CALL_DECISION = 64, /* seen before its effect, by a hook that could refuse it */
	HG_CALL_CREATED = 128, /* the open made the file */
	HG_CALL_USER_MEMORY = 256, /* an address or text was read from user memory after the call */
	HG_CALL_DELETED = 512,	   /* the file has no name left */
};

/* What a descriptor stands for. */
enum hg_fd_kind {
	HG_FD_NONE = 0,
	HG_FD_FILE = 1,
	HG_FD_DIRECTORY = 2,
	HG_FD_FIFO = 3,
	HG_FD_CHAR_DEVICE = 4,
	HG_FD_BLOCK_DEVICE = 5,
	HG_FD_SOCKET = 6, /* ev_call.family says which */
	HG_FD_SYMLINK = 7,
	HG_FD_ANON = 8,	     /* no file system: path is the kernel's name of it, `[eventfd]` */
	HG_FD_NAMESPACE = 9, /* inode is the namespace's number */
	HG_FD_MAX = 10,
};

/* Classes of events that a profile, or the host, wants reported. */
enum hg_want {
	HG_WANT_PROCESS = 1,
	HG_WANT_CONNECT = 2,
	HG_WANT_SYSCALL_FIRST = 4,
	HG_WANT_SYSCALL_RULES = 8,
	HG_WANT_ENV = 256,   /* execs carry the environment: it holds secrets, so only where a rule reads it */
	HG_WANT_NAMES = 512, /* the bytes that hold the names which a process asks for: DNS, TLS, HTTP */
	HG_WANT_SYSCALLS_AT_ENTRY = 1024, /* all calls that rules are about are judged when they begin */
};

/* What a socket does, as far as its owner's acts told. */
enum hg_socket_role {
	HG_SOCKET_NONE = 0,
	HG_SOCKET_LISTENER = 1,
	HG_SOCKET_OUT = 2, /* it connected */
	HG_SOCKET_IN = 3,  /* it was accepted */
	HG_SOCKET_DATAGRAM = 4,
	HG_SOCKET_OTHER = 5, /* was there before the probes: which side began is not known */
};

enum hg_socket_flag {
	HG_SOCKET_ESTABLISHED = 1,
	HG_SOCKET_CLOSED_HERE = 2, /* this side closed first */
	HG_SOCKET_CLOSED_THERE = 4,
};

enum hg_direction {
	HG_DIRECTION_OUT = 0,
	HG_DIRECTION_IN = 1,
};

enum hg_packet_flag {
	HG_PACKET_LAST = 1, /* of this direction of the connection: nothing more of it will be told */
};

enum hg_exec_flag {
	HG_EXEC_SCRIPT = 1,
	HG_EXEC_ARGS_TRUNCATED = 2,
	HG_EXEC_PATH_TRUNCATED = 4,
	HG_EXEC_MEMFD = 8,
	HG_EXEC_FOREIGN_ROOT = 16,
	HG_EXEC_KERNEL_UNDECIDED = 32, /* too long or not canonical for the kernel's maps: user space decides */
	HG_EXEC_MULTICALL = 64,	       /* invoked ends in the applet that argv[0] chose, not in the name of the call */
	HG_EXEC_UPPER_LAYER =
		128, /* the file lies in the upper layer of an overlay: written since the image was made */
	HG_EXEC_ENV_TRUNCATED = 256,
	HG_EXEC_REFUSED = 512,	/* an attempt that was refused: the process runs its old program, args are unknown */
	HG_EXEC_DELETED = 1024, /* the file has no name left, and lies not in memory only */
};

enum hg_syscall_flag {
	HG_SYSCALL_FIRST = 1,
	HG_SYSCALL_OUTSIDE = 2,
	HG_SYSCALL_RETURNED = 4,     /* told at its end: result is there */
	HG_SYSCALL_ENDED_THREAD = 8, /* told as the thread ended in it: it never returns */
};

enum hg_exit_flag {
	HG_EXIT_CORE = 1,
};

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

/* --- maps ------------------------------------------------------------------------------------------------- */

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

/* Value of `profiles`, key: profile id. Masks: bit i is kernel rule i of this profile. */
struct map_profile {
	__u64 exec_rules; /* rules of kind exec answered here */
	__u64 exec_allow; /* of those, the ones with an allow list: an uncovered name violates */
	__u64 connect_rules;
	__u64 syscall_rules;
	__u64 deny;			    /* strongest action in force is deny */
	__u64 kill;			    /* … is kill or stronger */
	__u64 setup;			    /* judged in phase setup too */
	__u32 policy[HG_RULES_PER_PROFILE]; /* breaker budget of the rule's policy */
	__u32 urgent; /* enum hg_want: classes with a rule that acts and is left to user space: it is woken at once */
	__u32 place_classes;	    /* set of classes: acts on files of others are not reported; 0: all are */
	__u32 place_prefixes_count; /* entries of `place_prefixes`; 0: acts on every path are reported */
	__u32 users_count;	    /* of `users` */
	__u64 acts_urgent;	    /* bit per enum hg_act: as `urgent` */
	__u64 file_rules;
	__u64 listen_rules;
	__u64 file_default
		[HG_FILE_ACCESSES]; /* of file_rules, those that a path violates which no entry of theirs names */
	__u32 file_access;	    /* enum hg_file_access: a rule that refuses or kills is about these */
	__u32 file_bases_count;	    /* entries of `file_base` */
	__u64 acts_by_end;   /* bit per enum hg_act: on sockets of IPv4 and IPv6 reported where `end_nodes` says so */
	__u64 acts_internet; /* … reported on such sockets only */
	__u64 acts_by_user;  /* … reported of the users alone of whom `users` says so */
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

/* Never used: keeps every type of this contract in the object's BTF (by value: a pointer would leave only a name there). */
struct abi_anchor {
	struct ev_exec ev_exec;
	struct ev_fork ev_fork;
	struct ev_exit ev_exit;
	struct ev_connect ev_connect;
	struct ev_socket ev_socket;
	struct ev_syscall ev_syscall;
	struct ev_call ev_call;
	struct ev_oom ev_oom;
	struct ev_cgroup ev_cgroup;
	struct ev_task ev_task;
	struct ev_memory ev_memory;
	enum hg_kind kind;
	enum hg_phase phase;
	enum hg_action action;
	enum hg_rung rung;
	enum hg_drop drop;
	enum hg_cgroup_state cgroup_state;
	enum hg_want want;
	enum hg_socket_role socket_role;
	enum hg_socket_flag socket_flag;
	enum hg_exec_flag exec_flag;
	enum hg_syscall_flag syscall_flag;
	enum hg_exit_flag exit_flag;
	enum hg_act act;
	enum hg_ring_opcode ring_opcode;
	enum hg_access access;
	enum hg_open_kind open_kind;
	enum hg_open_trait open_trait;
	enum hg_place_class place_class;
	enum hg_file_access file_access;
	enum hg_call_flag call_flag;
	enum hg_fd_kind fd_kind;
	enum hg_recipe_flag recipe_flag;
	struct map_recipe map_recipe;
	struct map_syscalls_ignored map_syscalls_ignored;
	struct map_calls_at_end map_calls_at_end;
	enum hg_at_end at_end;
	struct map_place_prefix_key map_place_prefix_key;
	struct map_loss_key map_loss_key;
	struct ev_packet ev_packet;
	enum hg_direction direction;
	enum hg_packet_flag packet_flag;
	enum hg_said_what said_what;
	enum hg_said_kind said_kind;
};

_Static_assert(HG_PLACE_CLASSES <= 32, "a set of classes has 32 bits");
_Static_assert(sizeof(struct ev_header) == 88, "ev_header: no implicit padding");
_Static_assert(sizeof(struct ev_exec) == 88 + 136, "ev_exec: no implicit padding");
_Static_assert(sizeof(struct ev_fork) == 88 + 24, "ev_fork");
_Static_assert(sizeof(struct ev_exit) == 88 + 16, "ev_exit");
_Static_assert(sizeof(struct ev_connect) == 88 + 32, "ev_connect");
_Static_assert(sizeof(struct ev_socket) == 88 + 104, "ev_socket");
_Static_assert(sizeof(struct ev_syscall) == 88 + 16, "ev_syscall");
_Static_assert(sizeof(struct ev_call) == 88 + 224, "ev_call");
_Static_assert(sizeof(struct ev_oom) == 88 + 16, "ev_oom");
_Static_assert(sizeof(struct ev_cgroup) == 88 + 24, "ev_cgroup");
_Static_assert(sizeof(struct ev_task) == 88 + 96, "ev_task");
_Static_assert(sizeof(struct ev_packet) == 88 + 48, "ev_packet: no implicit padding");
_Static_assert(sizeof(struct ev_memory) == 88 + 32, "ev_memory");

#endif
