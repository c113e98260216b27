/**
 * What an io_uring does and a hook refuses is told as the ring's, also where the kernel carries it out on the way out of another call. Not
 * tried: a ring that is entered with the x32 marker, which the guests' kernels do not serve. Done in the container whose policy refuses
 * acts below /tmp/kept and listens at port 91.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { syscallNumber } from '../../../src/policy/syscalls.js'
import { Act } from '../../../src/sensor/generated/abi.js'
import type { Seen } from './act-table.js'

export interface RefusedRingsStage {
  cgroup: string
  /** Folder that is the container's root. */
  root: string
  isRefused: boolean
  seen: readonly Seen[]
  check(name: string, ok: boolean, detail?: unknown): void
}

const [OPENAT, LISTEN, AT_FDCWD] = [18, 57, -100]
/** enum way of ring.c. */
const CHAIN = 5
const [INET, STREAM, ADDRESS_BYTES] = [2, 1, 16]
const chained = ['ring', OPENAT, AT_FDCWD, 's:/tmp/kept/read', 0, 0, 0, 0, 0, CHAIN]
const listening = [
  ...['sys', syscallNumber('socket'), INET, STREAM, 0],
  ...['sys', syscallNumber('bind'), '$0', 'in:0.0.0.0:91', ADDRESS_BYTES],
  ...['ring', LISTEN, '$0', 0, 1],
]
/** What the program says of a ring, or of an opcode, that the kernel has not. */
const NOT_THERE = [-22, -38]

export async function checkRefusedRings(stage: RefusedRingsStage): Promise<void> {
  await check(stage, 'done on the way out of another call', chained, OPENAT, Act.OPEN)
  await check(stage, 'that listens', listening, LISTEN, Act.LISTEN)
}

async function check(
  { cgroup, root, isRefused, seen, check: note }: RefusedRingsStage,
  what: string,
  words: readonly (string | number | undefined)[],
  opcode: number,
  act: number,
): Promise<void> {
  const before = seen.length
  const program = `${root === '' ? '' : `chroot ${root} `}/bin/calls ${words.map((word) => `'${word}'`).join(' ')}`
  const enter = `echo $$ > ${cgroup}/cgroup.procs; exec unshare -mn ${program}`
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', enter], { encoding: 'utf8' })
  await sleep(500)
  const result = Number(stdout.trim().split('\n').at(-1)?.split(' ')[1])
  const refused = seen.slice(before).filter((one) => one.isRefused && one.code === act)
  const canBe = isRefused && !NOT_THERE.includes(result)
  note(
    `what is refused to an io_uring ${what} is told as the ring's`,
    stdout.includes(`${opcode} `) && refused.length === (canBe ? 1 : 0) && refused.every(({ isRing }) => isRing),
    [stdout, stderr, refused, seen.slice(before).filter(({ kind }) => kind === 'call')],
  )
}
