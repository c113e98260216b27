/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one BPF object: all programs over one set of maps, in the order of their dependencies (docs/decisions/0002).
 */
#include "lib/kernel.bpf.h"
#include <bpf/bpf_endian.h>
#include "lib/maps.bpf.h"
#include "lib/emit.bpf.h"
#include "lib/task.bpf.h"
#include "lib/user.bpf.h"
#include "lib/path.bpf.h"
#include "lib/verdict.bpf.h"
#include "lib/syscall.bpf.h"
#include "lib/descriptor.bpf.h"
#include "lib/place.bpf.h"
#include "lib/open.bpf.h"
#include "lib/file_act.bpf.h"
#include "lib/ring.bpf.h"
#include "lib/connect.bpf.h"
#include "programs/cgroup.bpf.c"
#include "programs/process_names.bpf.c"
#include "programs/process.bpf.c"
#include "programs/socket.bpf.c"
#include "programs/packet_tell.bpf.c"
#include "programs/packet_datagram.bpf.c"
#include "programs/packet.bpf.c"
#include "programs/connect.bpf.c"
#include "programs/syscall.bpf.c"
#include "programs/call_facts.bpf.c"
#include "programs/call_path.bpf.c"
#include "programs/call_report.bpf.c"
#include "programs/call.bpf.c"
#include "programs/signal.bpf.c"
#include "programs/ring.bpf.c"
#include "programs/memory.bpf.c"
#include "programs/lsm.bpf.c"
#include "programs/open.bpf.c"
#include "programs/decision.bpf.c"
#include "programs/lsm_file.bpf.c"
#include "programs/listen.bpf.c"
#include "programs/said.bpf.c"
#include "programs/lsm_mount.bpf.c"
#include "programs/lsm_signal.bpf.c"
#include "programs/lsm_capable.bpf.c"
#include "programs/capable.bpf.c"

const volatile struct abi_anchor cfg_abi_anchor = {};

char LICENSE[] SEC("license") = "Dual BSD/GPL";
