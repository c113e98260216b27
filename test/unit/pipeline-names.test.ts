/** src/agent/pipeline/pipeline.ts: what is kept of a connection for its name ends with the connection, a container's or the host's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldEvents } from '../../src/agent/event/held-events.js'
import { composePipeline } from '../../src/agent/pipeline/compose.js'
import { ProcessTable } from '../../src/agent/process/process-table.js'
import { PolicySet } from '../../src/agent/rules/policies.js'
import { type Identity, NO_MOUNTS } from '../../src/container/identity.js'
import { HOST, type RecordDraft } from '../../src/record/model.js'
import { BREAKER_DEFAULTS, CircuitBreaker } from '../../src/respond/breaker.js'
import { EvPacket, EvSocket, Kind } from '../../src/sensor/generated/abi.js'
import { Counters } from '../../src/telemetry/counters.js'
import { viewOf } from '../support/sensor-events.js'

const FRONT = Buffer.from('GET /path HTTP/1.1\r\nX: y\r\n')
const TCP = 6

function pipelineOf(state: 'host' | 'container') {
  const counters = new Counters()
  const records: RecordDraft[] = []
  const identity: Identity = {
    ...{ ref: { ...HOST, state, id: 'c' }, confirmed: true, rootCgroupId: 1n, rootLevel: 1, cgroupPath: '/c' },
    ...{
      initPid: undefined,
      initStartTicks: undefined,
      sharesHostPids: undefined,
      privileged: false,
      mounts: NO_MOUNTS,
    },
    ...{ createdMs: undefined, ownerUid: undefined },
  }
  const set = PolicySet.of(1, { policies: [] })
  const { pipeline } = composePipeline({
    table: {
      ...{ lookup: () => identity, lookup32: () => identity },
      ...{ onCgroupCreated: () => identity, onCgroupRemoved: () => {} },
    },
    policies: { isHostWanted: true, forVersion: () => set },
    ...{ processes: new ProcessTable(counters), held: new HeldEvents(counters) },
    users: { nameOf: () => 'root' },
    ...{ utcNs: (bootNs: bigint) => bootNs, hostname: 'host' },
    ...{ isOwnFile: () => false, judgesFirstUses: false, isActRecorded: () => false, areNamesRecorded: true },
    append: (draft) => ({ seq: BigInt(records.push(draft)) }),
    ...{ onCgroup: () => {}, onLost: () => {}, onWaiting: () => {} },
    response: {
      ...{ confirm: () => false, isBlocking: () => false, onActed: () => {} },
      breaker: new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => 0 }, () => {}),
    },
    counters,
  })
  const forgottenAtStop = () => counters.get('names_forgotten_total', { cause: 'stop' })
  return { pipeline, records, forgottenAtStop }
}

for (const state of ['host', 'container'] as const)
  test(`of the ${state}`, () => {
    const { pipeline, records, forgottenAtStop } = pipelineOf(state)
    const end = { family: 4, cookie: 5n, remotePort: 80, proto: TCP }
    const packet = viewOf(EvPacket, { ...end, kind: Kind.PACKET, dataBytes: FRONT.length }, FRONT)
    const close = viewOf(EvSocket, { family: 4, cookie: 5n, remotePort: 80, kind: Kind.CLOSE })
    pipeline.packet(packet, packet)
    pipeline.socket(close, close)
    pipeline.flushWaiting()
    assert.equal(forgottenAtStop(), 0, 'its name went with it')
    // no rule asks about the host
    assert.deepEqual(
      records.map(({ kind }) => kind),
      state === 'host' ? [] : ['http', 'close'],
    )
    pipeline.packet(packet, packet)
    pipeline.flushWaiting()
    assert.equal(forgottenAtStop(), 1, 'the connection was open to the end')
  })
