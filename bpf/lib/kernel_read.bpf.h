/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads of members of what lies at a kernel address, which may be of anything by now: KERNEL_READ(address, member[, member of what that points
 * to …]). What cannot be read is 0.
 *
 * From v6.2 bpf_rdonly_cast() lends an address a type and is no call when it runs: a member is read by a load. Before, each is a call.
 */
#ifndef HULLGUARD_KERNEL_READ_BPF_H
#define HULLGUARD_KERNEL_READ_BPF_H

#include "kernel.bpf.h"

extern void *bpf_rdonly_cast(const void *address, __u32 type_id) __ksym __weak;
const volatile __u32 cfg_can_cast = 0; /* the kernel has it */

#define KERNEL_CAST(address, type)                                                                                     \
	((type *)bpf_rdonly_cast((void *)(unsigned long)(address), bpf_core_type_id_kernel(type)))

#define KERNEL_MEMBER(address, member)                                                                                 \
	({                                                                                                             \
		__auto_type address_ = (address);                                                                      \
		cfg_can_cast ? KERNEL_CAST(address_, __typeof__(*address_))->member : ({                               \
			__typeof__(address_->member) value_;                                                           \
			bpf_core_read((void *)&value_, sizeof(value_), &address_->member);                             \
			value_;                                                                                        \
		});                                                                                                    \
	})

/* The verifier knows what a pointer that was loaded points to, and refuses it as the number that it is here. The difference of two pointers is
 * one to it. */
#define KERNEL_PLAIN(value)                                                                                            \
	({                                                                                                             \
		__auto_type plain_ = (value);                                                                          \
		__builtin_classify_type(plain_) == 5 /* a pointer */ && cfg_can_cast ?                                 \
			(__typeof__(plain_))((__u64)KERNEL_CAST(plain_, struct task_struct) -                          \
					     (__u64)KERNEL_CAST(0, struct task_struct)) :                              \
			plain_;                                                                                        \
	})

/* Eight bytes at any kernel address; only where cfg_can_cast. */
#define KERNEL_READ_8(address) ((__u64)KERNEL_CAST(address, struct timespec64)->tv_sec)

#define KERNEL_CHAIN_1(address, a) KERNEL_MEMBER(address, a)
#define KERNEL_CHAIN_2(address, a, b) KERNEL_MEMBER(KERNEL_CHAIN_1(address, a), b)
#define KERNEL_CHAIN_3(address, a, b, c) KERNEL_MEMBER(KERNEL_CHAIN_2(address, a, b), c)
#define KERNEL_CHAIN_4(address, a, b, c, d) KERNEL_MEMBER(KERNEL_CHAIN_3(address, a, b, c), d)
#define KERNEL_CHAIN_5(address, a, b, c, d, e) KERNEL_MEMBER(KERNEL_CHAIN_4(address, a, b, c, d), e)
#define KERNEL_NTH(_1, _2, _3, _4, _5, name, ...) name
#define KERNEL_READ(address, ...)                                                                                      \
	KERNEL_PLAIN(KERNEL_NTH(__VA_ARGS__, KERNEL_CHAIN_5, KERNEL_CHAIN_4, KERNEL_CHAIN_3, KERNEL_CHAIN_2,           \
				KERNEL_CHAIN_1)(address, __VA_ARGS__))

#endif
