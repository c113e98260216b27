/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which syscall a task is in, through which table, and with what arguments: from the registers that the kernel saved at the
 * entry, which the call itself does not change.
 */
#ifndef HULLGUARD_SYSCALL_BPF_H
#define HULLGUARD_SYSCALL_BPF_H

#include "task.bpf.h"

#define TS_COMPAT 0x0002	    /* arch/x86/include/asm/thread_info.h */
#define TIF_32BIT 22		    /* arch/arm64/include/asm/thread_info.h */
#define X32_SYSCALL_BIT 0x40000000U /* arch/x86/include/uapi/asm/unistd.h */
#define SYSCALL_NONE (~0U)
#define NR_IO_URING_ENTER 426 /* of every ABI */
#define PF_IO_WORKER 0x10     /* include/linux/sched.h: a thread of io_uring, of the process that it works for */
#define ENOSYS 38
#if defined(__TARGET_ARCH_arm64)
#define NR_REBOOT 142
#define NR_REBOOT_32 88
#endif

/* 1 is the 32-bit ABI of the machine; x86-64 and arm64 have one each. */
enum syscall_abi { SYSCALL_NATIVE = 0, SYSCALL_IA32 = 1, SYSCALL_AARCH32 = 1, SYSCALL_X32 = 2 };

/* Takes the x32 marker off *nr. On arm64 a process is of one ABI as a whole, until its next exec. */
static __always_inline __u32 syscall__abi(const struct task_struct *task, __u32 *nr)
{
#if defined(__TARGET_ARCH_x86)
	if (task->thread_info.status & TS_COMPAT)
		return SYSCALL_IA32;
	if (*nr != SYSCALL_NONE && (*nr & X32_SYSCALL_BIT)) {
		*nr &= ~X32_SYSCALL_BIT;
		return SYSCALL_X32;
	}
#elif defined(__TARGET_ARCH_arm64)
	if (task->thread_info.flags & (1UL << TIF_32BIT))
		return SYSCALL_AARCH32;
#endif
	return SYSCALL_NATIVE;
}

static __always_inline __u32 syscall__nr(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_arm64)
	return regs->syscallno;
#else
	return regs->orig_ax;
#endif
}

/* The number alone, whichever table it is of: SYSCALL_NONE stays too large for any. */
static __always_inline __u32 syscall__number(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return syscall__nr(regs) & ~X32_SYSCALL_BIT;
#else
	return syscall__nr(regs);
#endif
}

/* Are calls of this number looked at when they end? `whose`: enum hg_at_end. Every call of the host passes here. */
static __always_inline bool syscall__is_looked_at(__u32 whose, __u32 number)
{
	struct map_calls_at_end *looked = bpf_map_lookup_elem(&calls_at_end, &whose);

	return looked && number < HG_SYSCALLS_MAX &&
	       (looked->calls[(number / 64) & (HG_SYSCALL_WORDS - 1)] & (1ULL << (number & 63)));
}

/* Is there no call that is carried out right now? On x86 its result is ENOSYS until there is one. On arm64 the first argument stands
 * where the result will: a call that returned just that counts as one that is carried out. */
static __always_inline bool syscall__is_over(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_arm64)
	return regs->syscallno < 0 || regs->regs[0] != regs->orig_x0;
#else
	return (long)regs->ax != -ENOSYS;
#endif
}

/* Did seccomp stop the call with a signal? It puts the registers back as they were (syscall_rollback()), and on x86 the number of the call
 * then stands where the result would. On arm64 the first argument does, which many a result equals. */
static __always_inline bool syscall__is_rolled_back(const struct pt_regs *regs, long result)
{
#if defined(__TARGET_ARCH_x86)
	return result == (long)regs->orig_ax;
#else
	return false;
#endif
}

/* Is it an io_uring of the process for which the task does now what a hook within the kernel sees? By a worker, in the call that submits and
 * waits, or, of what follows in a chain, on the way out of any call. `nr`: without the x32 marker. */
static __always_inline bool syscall__is_of_ring(const struct task_struct *task, const struct pt_regs *regs, __u32 nr)
{
	if ((task->flags & PF_IO_WORKER) || nr == NR_IO_URING_ENTER)
		return true;
	return bpf_core_field_exists(task->io_uring) && KERNEL_READ(task, io_uring) && syscall__is_over(regs);
}

static __always_inline void syscall__read_args(const struct pt_regs *regs, __u32 abi, __u64 *args)
{
#if defined(__TARGET_ARCH_arm64)
	args[0] = regs->orig_x0;
	args[1] = regs->regs[1];
	args[2] = regs->regs[2];
	args[3] = regs->regs[3];
	args[4] = regs->regs[4];
	args[5] = regs->regs[5];
	if (abi == SYSCALL_AARCH32) { /* the upper halves are whatever they were */
		for (int i = 0; i < 6; i++)
			args[i] = (__u32)args[i];
	}
#else
	if (abi == SYSCALL_IA32) {
		args[0] = (__u32)regs->bx;
		args[1] = (__u32)regs->cx;
		args[2] = (__u32)regs->dx;
		args[3] = (__u32)regs->si;
		args[4] = (__u32)regs->di;
		args[5] = (__u32)regs->bp;
		return;
	}
	args[0] = regs->di;
	args[1] = regs->si;
	args[2] = regs->dx;
	args[3] = regs->r10;
	args[4] = regs->r8;
	args[5] = regs->r9;
#endif
}

#endif
