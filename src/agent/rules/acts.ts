/**
 * Which acts the kernel is asked to report beyond those that the loaded rules judge (src/respond/rule-acts.ts): those of the
 * classes that `--activity` names, with repeats counted instead of reported one by one. Without it only what a rule holds for
 * is recorded.
 */
import { FILE_ACTS } from '../../match/file-acts.js'
import { CALL_KINDS, type CallKind } from '../../record/call-model.js'
import { actBit } from '../../sensor/call-recipes.js'

export const ACTIVITY_CLASSES = [
  ...(['process', 'connect', 'file', 'privilege', 'sharing', 'network', 'names', 'syscall'] as const),
] as const
export type ActivityClass = (typeof ACTIVITY_CLASSES)[number]

/** Recorded whatever is asked for. */
export const ALWAYS_ON: readonly ActivityClass[] = ['process', 'connect']

/** Those of no act: syscall is each container's first use of a call, names are those in DNS, TLS and HTTP. */
const ACTS_OF_CLASS: Readonly<Record<ActivityClass, readonly CallKind[]>> = {
  process: [],
  connect: [],
  file: FILE_ACTS,
  privilege: [
    ...([
      'setuid',
      'setgid',
      'capset',
      'ptrace',
      'setns',
      'unshare',
      'mount',
      'umount',
      'pivot_root',
      'chroot',
    ] as const),
    ...(['bpf', 'module', 'memfd', 'mmap', 'mprotect', 'prctl', 'userfaultfd', 'signal'] as const),
  ],
  sharing: ['mount', 'umount', 'setns', 'ptrace', 'signal', 'ipc', 'unix_connect'],
  network: ['socket', 'bind', 'listen', 'accept', 'send', 'recv', 'dup', 'unix_connect'],
  names: [],
  syscall: [],
}

export function isActivityClass(name: string): name is ActivityClass {
  return ACTIVITY_CLASSES.some((known) => known === name)
}

/** Mask of actBit(). */
export function actsOfActivity(classes: Iterable<ActivityClass>): bigint {
  let acts = 0n
  for (const name of classes) for (const act of ACTS_OF_CLASS[name]) acts |= actBit(act)
  return acts
}

/** Is an act (enum hg_act) recorded, whether a rule holds for it or not? One that is not known is, so that it is counted. */
export function actRecorder(classes: Iterable<ActivityClass>): (act: number) => boolean {
  const acts = actsOfActivity(classes)
  const isRecorded = [true, ...CALL_KINDS.map((kind) => (acts & actBit(kind)) !== 0n)]
  return (act) => isRecorded[act] ?? true
}

/** The kinds of records that a mask brings. */
export function kindsOfActs(acts: bigint): CallKind[] {
  return CALL_KINDS.filter((kind) => (acts & actBit(kind)) !== 0n)
}
