/** Event types: the acts that `evt.type` names, and which of them the probes report today. */
import type { EventKind } from '../model.js'
import type { EventTypeSpec } from './types.js'

const YIELDED: readonly [name: string, kind: EventKind, note: string][] = [
  ['execve', 'exec', 'an exec that succeeded, when the new program starts'],
  ['execveat', 'exec', 'not told from execve'],
  ['clone', 'fork', 'seen in the parent; new processes only, not threads'],
  ['clone3', 'fork', 'not told from clone'],
  ['fork', 'fork', 'not told from clone'],
  ['vfork', 'fork', 'not told from clone'],
  ['procexit', 'exit', 'the end of a process'],
  ['connect', 'connect', 'when it is asked for: whether it succeeds is not known yet'],
  ['syscall', 'syscall', 'first use of a call in a container, or one outside its allowed set; of this system alone'],
  ['oom', 'oom', 'the kernel ended the process for lack of memory; of this system alone'],
]

/** Acts of the public rule files that no probe reports, by what they need. */
const AWAITED: readonly [note: string, names: readonly string[]][] = [
  ['open hooks', ['open', 'openat', 'openat2', 'creat']],
  ['socket hooks', ['accept', 'accept4', 'listen', 'bind', 'socket', 'sendto', 'sendmsg', 'recvfrom', 'recvmsg']],
  [
    'file change hooks',
    ['rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'rmdir', 'mkdir', 'mkdirat', 'symlink', 'symlinkat'],
  ],
  ['file change hooks', ['link', 'linkat', 'chmod', 'fchmod', 'fchmodat']],
  ['descriptor hooks', ['dup', 'dup2', 'dup3']],
  [
    'privilege hooks',
    ['ptrace', 'init_module', 'finit_module', 'setns', 'unshare', 'setuid', 'bpf', 'userfaultfd', 'mount'],
  ],
]

export const EVENT_TYPES: readonly EventTypeSpec[] = [
  ...YIELDED.map(([name, kind, note]) => ({ name, kind, note })),
  ...AWAITED.flatMap(([note, names]) => names.map((name) => ({ name, kind: undefined, note: `needs ${note}` }))),
]

const byName: ReadonlyMap<string, EventTypeSpec> = new Map(EVENT_TYPES.map((spec) => [spec.name, spec]))

export function findEventType(name: string): EventTypeSpec | undefined {
  return byName.get(name)
}
