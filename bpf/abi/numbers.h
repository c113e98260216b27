/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Of the contract (../abi.h): bounds, and what numbers stand for. */
#ifndef HULLGUARD_ABI_NUMBERS_H
#define HULLGUARD_ABI_NUMBERS_H

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
#define HG_RULES_PER_PROFILE 64	 /* one bit of a mask per rule answered in the kernel */
#define HG_TOP_BYTES 4		 /* of a path, the slash it begins with and three more */
#define HG_TOP_FACTOR 1640531527 /* … as a number times this: the highest 8 bits are a bit of map_filter.place_tops */
#define HG_TOP_WORDS 4
#define HG_FILTERS 256		    /* a power of two */
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

#endif
