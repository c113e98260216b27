/**
 * Records for delivery's tests and bench: a deterministic stream with the shape of a busy container host (a few images,
 * many short processes with their own pids, start times and some arguments of their own, connects, exits), and waiting.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../../src/export/types.js'
import type { AlertBody, ContainerRef, ProcessRef, RecordDraft } from '../../src/record/model.js'

export const SILENT: Log = { info() {}, warn() {}, error() {} }

const IMAGES = ['nginx:1.27', 'postgres:16', 'redis:7', 'shop/web:2.3.1', 'shop/worker:2.3.1', 'grafana/agent:0.40']
const TOOLS: readonly (readonly string[])[] = [
  ['/bin/sh', '-c', 'test -f /run/ready'],
  ['/usr/bin/curl', '-sf', 'http://127.0.0.1:8080/healthz'],
  ['/usr/bin/pg_isready', '-U', 'postgres'],
  ['/usr/local/bin/redis-cli', 'ping'],
  ['/usr/bin/sleep', '5'],
  ['/bin/cat', '/proc/loadavg'],
  ['/usr/bin/python3', '/app/job.py', '--id'],
]

/** mulberry32 */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export function makeContainers(count: number): ContainerRef[] {
  return Array.from({ length: count }, (_, index) => {
    const next = random(index + 77)
    const hex = Array.from({ length: 64 }, () => Math.floor(next() * 16).toString(16)).join('')
    const image = IMAGES[index % IMAGES.length] ?? ''
    return {
      state: 'container',
      id: hex,
      name: `app-${index}`,
      image,
      imageId: `sha256:${hex.slice(32)}${hex.slice(0, 32)}`,
      runtime: 'docker',
      labels: { 'com.docker.compose.service': `app-${index}`, tier: index % 2 === 0 ? 'web' : 'data' },
      outerIds: [],
    }
  })
}

/** An endless stream: fork, exec, connects, exit, process after process, in several containers at once. */
export function* hostActivity(seed: number, containerCount = 20): Generator<RecordDraft, never> {
  const next = random(seed)
  const containers = makeContainers(containerCount)
  let bootNs = 3_600_000_000_000n
  const utcOffsetNs = 1_780_000_000_000_000_000n
  let pid = 4000
  const base = (kind: RecordDraft['kind'], container: ContainerRef, process: ProcessRef): RecordDraft => {
    bootNs += BigInt(Math.floor(next() * 200_000))
    return { kind, lane: 'activity', bootNs, timeNs: bootNs + utcOffsetNs, container, process }
  }
  while (true) {
    const container = containers[Math.floor(next() * containers.length)] ?? containers[0]
    const tool = TOOLS[Math.floor(next() * TOOLS.length)]
    if (container === undefined || tool === undefined) continue
    pid = pid > 4_000_000 ? 4000 : pid + 1 + Math.floor(next() * 3)
    const [exe = ''] = tool
    // Every third process has arguments that no other has.
    const own =
      next() < 1 / 3
        ? [`--request=${Math.floor(next() * 2 ** 32).toString(16)}`, `/srv/data/${Math.floor(next() * 1e9)}`]
        : []
    const args = [...tool, ...own]
    const parent = { pid: 1200 + containers.indexOf(container), startNs: 900_000_000_000n, exe: '/usr/bin/init' }
    const shared = { cwd: '/', uid: 0, gid: 0, user: 'root', phase: 'run' as const }
    const parentProcess: ProcessRef = {
      pid: parent.pid,
      tid: parent.pid,
      startNs: parent.startNs,
      exe: parent.exe,
      invoked: parent.exe,
      args: [parent.exe],
      ...shared,
    }
    const process: ProcessRef = { pid, tid: pid, startNs: bootNs, exe, invoked: exe, args, ...shared, parent }
    yield { ...base('fork', container, parentProcess), fork: { childPid: pid, childStartNs: process.startNs } }
    yield {
      ...base('exec', container, process),
      exec: {
        path: exe,
        file: exe,
        script: '',
        dev: 2049,
        inode: BigInt(131_072 + exe.length),
        argsTruncated: false,
        pathTruncated: false,
        memfd: false,
        foreignRoot: false,
        multicall: false,
        upperLayer: false,
        refused: false,
        deleted: false,
      },
    }
    for (let connects = Math.floor(next() * 3); connects > 0; connects--) {
      const ip = `10.1.${Math.floor(next() * 4)}.${Math.floor(next() * 250)}`
      const port = [5432, 6379, 8080, 443][Math.floor(next() * 4)] ?? 80
      yield {
        ...base('connect', container, process),
        connect: { ip, port, proto: 'tcp', family: 'ipv4', repeatsCount: 0 },
      }
    }
    const exit = base('exit', container, process)
    exit.exit = {
      code: next() < 0.1 ? 1 : 0,
      signal: 0,
      signalName: '',
      coreDumped: false,
      runtimeNs: exit.bootNs - process.startNs,
    }
    yield exit
  }
}

export function take<T>(stream: Iterator<T>, count: number): T[] {
  return Array.from({ length: count }, () => {
    const { value, done } = stream.next()
    if (done === true) throw new Error('the stream ended early')
    return value as T
  })
}

export function alertOf(draft: RecordDraft, rule: string): RecordDraft {
  const alert: AlertBody = {
    rule,
    policy: 'demo',
    priority: 'critical',
    tags: ['process'],
    output: `${rule} in ${draft.container.name}`,
    actionTaken: 'kill',
    outcome: 'killed_before_effect',
    reason: '',
    hook: 'sched_process_exec',
    cause: { kind: 'exec', lane: 'activity', seq: 7n },
  }
  return { ...draft, kind: 'alert', lane: 'alert', alert }
}

/** Bounded wait: generous, since machines are shared. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 120_000,
): Promise<void> {
  const deadline = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`)
    await sleep(10)
  }
}
