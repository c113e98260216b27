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

#include "abi/numbers.h"
#include "abi/events.h"
#include "abi/maps.h"

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
