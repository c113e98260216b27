/** Event types: the acts that `evt.type` names, and which of them the probes report today. */
import type { CallKind, EventKind } from '../model.js'
import type { EventTypeSpec } from './types.js'

/** `toldAs`: the name under which an event of this type is judged. */
const YIELDED: readonly [name: string, kind: EventKind, note: string, toldAs?: string][] = [
  ['execve', 'exec', 'an exec that succeeded, when the new program starts'],
  ['execveat', 'exec', 'not told from execve', 'execve'],
  ['clone', 'fork', 'seen in the parent; new processes only, not threads'],
  ['clone3', 'fork', 'not told from clone', 'clone'],
  ['fork', 'fork', 'not told from clone', 'clone'],
  ['vfork', 'fork', 'not told from clone', 'clone'],
  ['procexit', 'exit', 'the end of a process'],
  ['connect', 'connect', 'when it is asked for: its result is that it is in progress'],
  ['syscall', 'syscall', 'first use of a call in a container, or one outside its allowed set; of this system alone'],
  ['dns', 'dns', 'a DNS message, asked or answered; of this system alone'],
  ['tls', 'tls', 'the client hello of an outbound connection; of this system alone'],
  ['http', 'http', 'the first request of an outbound connection; of this system alone'],
  ['oom', 'oom', 'the kernel ended the process for lack of memory; of this system alone'],
]

/** The syscalls that do each act, as `evt.type` has them; the sensor's table has the same and what is told as one of them. */
const CALLS: Readonly<Record<CallKind, readonly string[]>> = {
  open: ['open', 'openat', 'openat2', 'creat', 'open_by_handle_at'],
  unlink: ['unlink', 'unlinkat'],
  rename: ['rename', 'renameat', 'renameat2'],
  link: ['link', 'linkat'],
  symlink: ['symlink', 'symlinkat'],
  chmod: ['chmod', 'fchmod', 'fchmodat', 'fchmodat2'],
  chown: ['chown', 'lchown', 'fchown', 'fchownat'],
  mkdir: ['mkdir', 'mkdirat'],
  rmdir: ['rmdir'],
  truncate: ['truncate', 'ftruncate'],
  signal: ['kill', 'tkill', 'tgkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo', 'pidfd_send_signal'],
  setuid: ['setuid', 'setreuid', 'setresuid', 'setfsuid'],
  setgid: ['setgid', 'setregid', 'setresgid', 'setfsgid', 'setgroups'],
  capset: ['capset'],
  ptrace: ['ptrace', 'process_vm_readv', 'process_vm_writev'],
  setns: ['setns'],
  unshare: ['unshare'],
  mount: ['mount', 'move_mount', 'mount_setattr', 'fsmount', 'open_tree'],
  umount: ['umount', 'umount2'],
  pivot_root: ['pivot_root'],
  chroot: ['chroot'],
  bpf: ['bpf'],
  module: ['init_module', 'finit_module', 'delete_module'],
  memfd: ['memfd_create', 'memfd_secret'],
  mmap: ['mmap', 'mmap2'],
  mprotect: ['mprotect', 'pkey_mprotect'],
  prctl: ['prctl', 'arch_prctl'],
  userfaultfd: ['userfaultfd'],
  socket: ['socket'],
  bind: ['bind'],
  listen: ['listen'],
  accept: ['accept', 'accept4'],
  send: ['sendto', 'sendmsg'],
  recv: ['recvfrom', 'recvmsg'],
  unix_connect: ['unix_connect'],
  capable: ['capable'],
  dup: ['dup', 'dup2', 'dup3'],
  ipc: ['shmget', 'shmat', 'msgget', 'semget', 'mq_open'],
}

/** Where there is more to say of a kind. */
const NOTES: Readonly<Partial<Record<CallKind, string>>> = {
  capable: 'a use of a capability, when the kernel asks for it, not on the quiet; of this system alone',
  unix_connect: 'a connect of a unix socket, when the call has returned; of this system alone',
}

/** Those among them that the probes do not look at. */
const UNSEEN_CALLS: ReadonlySet<string> = new Set([
  'process_vm_readv',
  'process_vm_writev',
  'mount_setattr',
  'arch_prctl',
])

export const EVENT_TYPES: readonly EventTypeSpec[] = [
  ...YIELDED.map(([name, kind, note, toldAs]) => ({ name, kind, note, toldAs: toldAs ?? name })),
  ...callTypes(),
]

function callTypes(): EventTypeSpec[] {
  const types: EventTypeSpec[] = []
  for (const kind of Object.keys(CALLS) as CallKind[])
    for (const name of CALLS[kind]) {
      if (UNSEEN_CALLS.has(name)) types.push({ name, kind: undefined, note: 'no probe looks at it yet', toldAs: name })
      else types.push({ name, kind, note: NOTES[kind] ?? 'when the call has returned', toldAs: name })
    }
  return types
}

const byName: ReadonlyMap<string, EventTypeSpec> = new Map(EVENT_TYPES.map((spec) => [spec.name, spec]))

export function findEventType(name: string): EventTypeSpec | undefined {
  return byName.get(name)
}

/** The event types that the probes yield and tell from each other. */
export const TOLD_TYPES: readonly string[] = EVENT_TYPES.flatMap(({ name, kind, toldAs }) =>
  kind === undefined || toldAs !== name ? [] : [name],
)
