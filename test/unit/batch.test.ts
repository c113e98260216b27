/** src/sensor/batch.ts: the walk over a slab reads whole records only, whatever the bytes claim. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { BatchWalker, type EventHandler } from '../../src/sensor/batch.js'
import {
  type EvCall,
  EvCgroup,
  EvConnect,
  EvExec,
  EvExit,
  EvFork,
  EvHeader,
  EvMemory,
  EvOom,
  EvPacket,
  EvSocket,
  EvSyscall,
  EvTask,
  Kind,
} from '../../src/sensor/generated/abi.js'
import { seedOf } from '../support/seed.js'
import { makeEvent, makeExec, ringOf } from '../support/sensor-events.js'

/** Notes what it was called with. */
class Recorder implements EventHandler {
  readonly calls: string[] = []
  sequence({ cpu, cpuSeq }: EvHeader): void {
    this.calls.push(`sequence ${cpu} ${cpuSeq}`)
  }
  exec(event: EvExec): void {
    this.calls.push(`exec ${event.pid} ${event.invokedBytes}`)
  }
  fork(event: EvFork): void {
    this.calls.push(`fork ${event.childPid}`)
  }
  exit(event: EvExit): void {
    this.calls.push(`exit ${event.code}`)
  }
  connect(event: EvConnect): void {
    this.calls.push(`connect ${event.port}`)
  }
  socket(event: EvSocket): void {
    this.calls.push(`socket ${event.kind} ${event.localPort}`)
  }
  packet(event: EvPacket): void {
    this.calls.push(`packet ${event.dataBytes}`)
  }
  call(event: EvCall): void {
    this.calls.push(`call ${event.act}`)
  }
  syscall(event: EvSyscall): void {
    this.calls.push(`syscall ${event.nr}`)
  }
  oom(event: EvOom): void {
    this.calls.push(`oom ${event.pid}`)
  }
  cgroup(event: EvCgroup): void {
    this.calls.push(`cgroup ${event.kind} ${event.id}`)
  }
  undecodable(_event: EvHeader, reason: string): void {
    this.calls.push(`undecodable: ${reason}`)
  }
}

function walk(ring: Uint8Array, start = 0): { calls: string[]; count: number } {
  const slab = new Uint8Array(start + ring.length)
  slab.set(ring, start)
  const recorder = new Recorder()
  const count = new BatchWalker(slab.buffer).walkRing(start, ring.length, recorder)
  return { calls: recorder.calls, count }
}

const EVERY_KIND = [
  makeExec(
    { kind: Kind.EXEC, pid: 10, cpu: 1, cpuSeq: 1n },
    { invoked: '/bin/a', file: '/bin/b', cwd: '/', args: 'a\0' },
  ),
  makeEvent(EvFork, { kind: Kind.FORK, childPid: 11, cpu: 1, cpuSeq: 2n }),
  makeEvent(EvExit, { kind: Kind.EXIT, code: 12, cpu: 1, cpuSeq: 3n }),
  makeEvent(EvConnect, { kind: Kind.CONNECT, port: 13, cpu: 0, cpuSeq: 1n }),
  makeEvent(EvSyscall, { kind: Kind.SYSCALL, nr: 14, cpu: 0, cpuSeq: 2n }),
  makeEvent(EvOom, { kind: Kind.OOM, pid: 15, cpu: 0, cpuSeq: 3n }),
  makeEvent(EvCgroup, { kind: Kind.CGROUP_MKDIR, id: 16n, cpu: 0, cpuSeq: 1n << 40n }, Buffer.from('/x')),
  makeEvent(EvCgroup, { kind: Kind.CGROUP_RMDIR, id: 17n, cpu: 0, cpuSeq: 5n }),
  makeEvent(EvCgroup, { kind: Kind.CGROUP_JOIN, id: 18n, cpu: 0, cpuSeq: 6n }),
  ...[Kind.LISTEN, Kind.ACCEPT, Kind.CONNECTED, Kind.CLOSE].map((kind) =>
    makeEvent(EvSocket, { kind, localPort: 19, cpu: 1, cpuSeq: 7n }),
  ),
  makeEvent(EvPacket, { kind: Kind.PACKET, dataBytes: 3, cpu: 1, cpuSeq: 8n }, Buffer.from('abc')),
]
const EVERY_CALL = [
  ['sequence 1 1', 'exec 10 6'],
  ['sequence 1 2', 'fork 11'],
  ['sequence 1 3', 'exit 12'],
  ['sequence 0 1', 'connect 13'],
  ['sequence 0 2', 'syscall 14'],
  ['sequence 0 3', 'oom 15'],
  ['sequence 0 1099511627776', `cgroup ${Kind.CGROUP_MKDIR} 16`],
  ['sequence 0 5', `cgroup ${Kind.CGROUP_RMDIR} 17`],
  ['sequence 0 6', `cgroup ${Kind.CGROUP_JOIN} 18`],
  ...[Kind.LISTEN, Kind.ACCEPT, Kind.CONNECTED, Kind.CLOSE].map((kind) => ['sequence 1 7', `socket ${kind} 19`]),
  ['sequence 1 8', 'packet 3'],
].flat()

describe('batches', () => {
  test('each kind reaches its own method, after its number, in the order of the ring', () => {
    const { calls, count } = walk(ringOf(EVERY_KIND))
    assert.equal(count, EVERY_KIND.length)
    assert.deepEqual(calls, EVERY_CALL)
  })

  test('a run may begin anywhere in the slab', () => {
    assert.deepEqual(walk(ringOf(EVERY_KIND), 256 * 1024).calls, EVERY_CALL)
  })

  test('the busy and discard bits are no part of the length', () => {
    assert.deepEqual(walk(ringOf(EVERY_KIND, 0xc0000000)).calls, EVERY_CALL)
  })

  test('an empty run has no events', () => {
    assert.deepEqual(walk(new Uint8Array(0)), { calls: [], count: 0 })
  })

  test('a kind that this build does not know is told and skipped', () => {
    for (const kind of [Kind.NONE, Kind.MAX, 999]) {
      const { calls, count } = walk(
        ringOf([makeEvent(EvExit, { kind }), makeEvent(EvExit, { kind: Kind.EXIT, code: 5 })]),
      )
      assert.deepEqual(calls, ['sequence 0 0', `undecodable: unknown kind ${kind}`, 'sequence 0 0', 'exit 5'])
      assert.equal(count, 2)
    }
  })

  test('kinds of iterators do not come through the ring', () => {
    const events = [makeEvent(EvTask, { kind: Kind.TASK }), makeEvent(EvMemory, { kind: Kind.MEMORY })]
    const { calls } = walk(ringOf(events))
    assert.equal(calls.filter((call) => call.startsWith('undecodable: unknown kind')).length, 2)
  })

  test('an event that claims more than its record is told, and its number still counts', () => {
    const event = makeEvent(EvExit, { kind: Kind.EXIT, sizeBytes: 105, cpu: 2, cpuSeq: 9n })
    assert.deepEqual(walk(ringOf([event])).calls, ['sequence 2 9', 'undecodable: event says 105 bytes of 104'])
  })

  test('strings that claim more than the event are told', () => {
    for (const field of ['invokedBytes', 'fileBytes', 'cwdBytes', 'argsBytes', 'envBytes']) {
      const event = makeExec({ kind: Kind.EXEC, [field]: 0xffff_ffff }, { invoked: '/a' })
      assert.deepEqual(walk(ringOf([event])).calls.slice(1), ['undecodable: strings longer than the event'], field)
    }
  })

  test('a packet that claims more bytes than the event has is told, and one with none is a packet', () => {
    const lying = makeEvent(EvPacket, { kind: Kind.PACKET, dataBytes: 4 }, Buffer.from('abc'))
    assert.deepEqual(walk(ringOf([lying])).calls.slice(1), ['undecodable: bytes longer than the event'])
    const empty = makeEvent(EvPacket, { kind: Kind.PACKET })
    assert.deepEqual(walk(ringOf([empty])).calls.slice(1), ['packet 0'])
  })

  test('an event shorter than its kind says is told', () => {
    const event = makeEvent(EvExit, { kind: Kind.CLOSE })
    assert.deepEqual(walk(ringOf([event])).calls.slice(1), ['undecodable: event of 104 bytes'])
  })

  test('a record shorter than a header, or longer than the run, ends the walk', () => {
    const good = makeEvent(EvExit, { kind: Kind.EXIT, code: 1 })
    const short = ringOf([new Uint8Array(EvHeader.SIZE_BYTES - 1)])
    const cut = ringOf([good]).subarray(0, 100)
    for (const [bad, sizeBytes] of [
      [short, EvHeader.SIZE_BYTES - 1],
      [cut, EvExit.SIZE_BYTES],
    ] as const) {
      const { calls, count } = walk(Uint8Array.from(Buffer.concat([ringOf([good]), bad])))
      assert.deepEqual(calls, ['sequence 0 0', 'exit 1', `undecodable: ring record of ${sizeBytes} bytes`])
      assert.equal(count, 1)
    }
  })

  test('any bytes at all are walked without an exception, and never beyond the run', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.boolean(), (bytes, hasLength) => {
        const run = Uint8Array.from(bytes)
        if (hasLength && run.length >= 4) new DataView(run.buffer).setUint32(0, Math.max(0, run.length - 8), true)
        assert.ok(walk(run, 64).calls.length <= run.length)
      }),
      seedOf(500),
    )
  })

  test('an event that was held back is not numbered again', () => {
    const event = makeEvent(EvExit, { kind: Kind.EXIT, code: 3 })
    const recorder = new Recorder()
    new BatchWalker(event.buffer).dispatchUnnumbered(0, event.length, recorder)
    assert.deepEqual(recorder.calls, ['exit 3'])
  })

  test('every view reads its own size of bytes', () => {
    const sizes = [
      ...[EvExec, EvFork, EvExit, EvConnect, EvSocket, EvSyscall, EvOom, EvCgroup, EvTask, EvMemory, EvPacket],
    ].map((type) => type.SIZE_BYTES)
    assert.deepEqual(sizes, [224, 112, 104, 120, 192, 104, 104, 112, 184, 120, 136])
  })
})
