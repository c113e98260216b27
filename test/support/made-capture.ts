/** Captures that no agent recorded: events made by the layout table, with the entries that a recorder would write before them. */
import { appendFileSync, writeFileSync } from 'node:fs'
import { identityToJson } from '../../src/agent/capture/entries.js'
import { type Identity, NO_MOUNTS } from '../../src/container/identity.js'
import { type ContainerRef, HOST } from '../../src/record/model.js'
import { Entry } from '../../src/sensor/capture-format.js'
import { CaptureWriter } from '../../src/sensor/capture-writer.js'
import { buildEvent, enumNumber, type FieldInput } from '../../src/sensor/event-builder.js'
import { ABI_HASH, EVENT_LAYOUT } from '../../src/sensor/generated/abi.js'

export interface MadeEvent {
  /** Since the capture began. */
  afterMs: number
  /** Index into `containers`. */
  container: number
  /** What is run. */
  exec: string
  /** enum hg_rung; 0: not told. */
  rung?: number
}

export interface MadeCapture {
  /** UTC. */
  startedMs: number
  kinds: readonly string[]
  containers: readonly Partial<ContainerRef>[]
  events: readonly MadeEvent[]
  /** Entries about losses, behind the events. */
  lost?: readonly object[]
}

const STARTED_BOOT_NS = 5_000_000_000n

export async function writeMadeCapture(file: string, made: MadeCapture): Promise<void> {
  writeFileSync(file, '')
  const { kinds, containers, events, lost = [] } = made
  const clockOffsetNs = BigInt(made.startedMs) * 1_000_000n - STARTED_BOOT_NS
  const host = { kernel: '6.1.0', arch: process.arch, cgroups: 'v2' }
  const header = { agentVersion: 'test', abiHash: ABI_HASH, layout: EVENT_LAYOUT, kinds, containers: [], host }
  const writer = new CaptureWriter({ ...header, startedBootNs: STARTED_BOOT_NS, clockOffsetNs }, async (bytes) => {
    appendFileSync(file, bytes)
  })
  for (const [number, container] of containers.entries()) {
    writer.entry(Entry.CONTAINER, identityToJson(number, identityOf(number, container), kinds))
    writer.entry(Entry.CGROUP, { id: cgroupOf(number), number })
  }
  for (const [index, event] of events.entries()) {
    const bytes = execBytes(event, index)
    writer.event(bytes, 0, bytes.length)
  }
  for (const entry of lost) writer.entry(Entry.LOST, entry)
  await writer.close('made')
}

function cgroupOf(number: number): bigint {
  return BigInt(100 + number)
}

function identityOf(number: number, container: Partial<ContainerRef>): Identity {
  const ref: ContainerRef = { ...HOST, state: 'container', id: `id-${number}`, name: `c${number}`, ...container }
  return {
    ...{ ref, confirmed: true, rootCgroupId: cgroupOf(number), rootLevel: 1, cgroupPath: `/c${number}` },
    ...{
      initPid: undefined,
      initStartTicks: undefined,
      sharesHostPids: undefined,
      privileged: ref.privileged,
      mounts: NO_MOUNTS,
    },
    ...{ createdMs: undefined, ownerUid: undefined },
  }
}

function execBytes({ afterMs, container, exec, rung = 0 }: MadeEvent, index: number): Uint8Array {
  const strings = [exec, exec, '/', `${exec}\0`].map((text) => new TextEncoder().encode(text))
  const [invoked = 0, file = 0, cwd = 0, args = 0] = strings.map(({ length }) => length)
  const fields: Record<string, FieldInput> = {
    kind: enumNumber('hg_kind', 'HG_KIND_EXEC'),
    rung,
    phase: enumNumber('hg_phase', 'HG_PHASE_RUN'),
    boot_ns: STARTED_BOOT_NS + BigInt(afterMs) * 1_000_000n,
    cgroup_id: cgroupOf(container),
    ...{ pid: 4_000_000 + index, tid: 4_000_000 + index, start_ns: 1n, program_version: 1 },
    ...{ invoked_bytes: invoked, file_bytes: file, cwd_bytes: cwd, args_bytes: args },
  }
  return buildEvent('ev_exec', fields, strings)
}
