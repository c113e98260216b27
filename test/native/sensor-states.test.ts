/** Every method of the addon's Sensor in every state, with wrong arguments, and on a wrong receiver. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isNativeError, loadAddon, type NativeSensor } from '../../src/sensor/addon.js'
import { MAP_CGROUP_BYTES } from '../../src/sensor/generated/abi.js'
import { objectPath } from '../../src/sensor/load.js'
import { cgroupMounts } from '../support/cgroup.js'
import { requires } from '../support/process.js'
import {
  closedAfter,
  loadSensor,
  nativeOptions,
  newSensor,
  openSensor,
  SLAB_BYTES,
  startSensor,
} from '../support/sensor-native.js'

const needsBpf = requires({ root: true, files: ['/sys/kernel/btf/vmlinux'] })
const EINVAL = 22
const ENOENT = 2

const STATES = ['new', 'open', 'loaded', 'running', 'closed'] as const
type State = (typeof STATES)[number]

/** In these states `make` loads programs into the kernel. */
const needsKernel = (state: State) => (state === 'loaded' || state === 'running') && needsBpf

function make(state: State): NativeSensor {
  if (state === 'open') return openSensor()
  if (state === 'loaded') return loadSensor()
  if (state === 'running') return startSensor(2, () => {}).sensor
  const sensor = newSensor()
  if (state === 'closed') sensor.close()
  return sensor
}

const messageOf = (call: () => unknown): string => {
  try {
    call()
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Asked of the sensor itself, by refusals that change nothing. */
function stateOf(sensor: NativeSensor): State {
  const refusal = / in state (\w+)$/.exec(messageOf(() => sensor.keys('control')))?.[1]
  if (refusal !== undefined) return refusal as State
  // @ts-expect-error: without its other arguments
  return messageOf(() => sensor.start('events')) === 'start in state running' ? 'running' : 'loaded'
}

const ALWAYS = STATES
const LOADED = ['loaded', 'running'] as const

/** A call with right arguments, and the states in which it is done; elsewhere it is refused. */
const METHODS: Record<keyof NativeSensor, { call: (sensor: NativeSensor) => unknown; works: readonly State[] }> = {
  open: { call: (sensor) => sensor.open(objectPath(), nativeOptions()), works: ['new'] },
  load: { call: (sensor) => sensor.load(), works: ['open'] },
  attach: { call: (sensor) => sensor.attach('on_oom'), works: LOADED },
  detach: { call: (sensor) => sensor.detach('on_oom'), works: LOADED },
  update: {
    call: (sensor) => sensor.update('cgroups', new Uint8Array(8), new Uint8Array(MAP_CGROUP_BYTES)),
    works: LOADED,
  },
  delete: { call: (sensor) => sensor.delete('cgroups', new Uint8Array(8)), works: LOADED },
  lookup: {
    call: (sensor) => sensor.lookup('cgroups', new Uint8Array(8), new Uint8Array(MAP_CGROUP_BYTES)),
    works: LOADED,
  },
  keys: { call: (sensor) => sensor.keys('cgroups'), works: LOADED },
  readIterator: { call: (sensor) => sensor.readIterator('on_memory'), works: LOADED },
  start: {
    call: (sensor) => sensor.start('events', 'critical', new ArrayBuffer(SLAB_BYTES), SLAB_BYTES, 1, () => {}),
    works: ['loaded'],
  },
  release: { call: (sensor) => sensor.release(0), works: ALWAYS },
  nudge: { call: (sensor) => sensor.nudge(), works: ALWAYS },
  readerThread: { call: (sensor) => sensor.readerThread(), works: ['running'] },
  programs: { call: (sensor) => sensor.programs(), works: LOADED },
  stats: { call: (sensor) => sensor.stats(), works: ALWAYS },
  close: { call: (sensor) => sensor.close(), works: ALWAYS },
}
const AFTER: Partial<Record<keyof NativeSensor, State>> = {
  open: 'open',
  load: 'loaded',
  start: 'running',
  close: 'closed',
}

describe('methods and states', () => {
  test('the matrix names every method that there is', () => {
    const methods = Object.getOwnPropertyNames(loadAddon().Sensor.prototype).filter((name) => name !== 'constructor')
    assert.deepEqual(methods.sort(), Object.keys(METHODS).sort())
  })

  for (const state of STATES)
    for (const [name, { call, works }] of Object.entries(METHODS)) {
      const isDone = works.includes(state)
      // open -> load goes to the kernel although the state before it does not
      const skip = needsKernel(state) || (isDone && name === 'load' && needsBpf)
      test(`${name} in state ${state} is ${isDone ? 'done' : 'refused, and nothing changes'}`, { skip }, () => {
        const sensor = make(state)
        try {
          if (isDone) {
            call(sensor)
            assert.equal(stateOf(sensor), AFTER[name as keyof NativeSensor] ?? state)
          } else {
            assert.throws(
              () => call(sensor),
              (error) => isNativeError(error) && error.errno === EINVAL,
            )
            assert.equal(stateOf(sensor), state)
          }
        } finally {
          sensor.close()
        }
      })
    }

  test('closing twice, and closing what was never opened, is no fault', () => {
    const sensor = newSensor()
    sensor.close()
    sensor.close()
    assert.equal(stateOf(sensor), 'closed')
  })

  test('a refused start leaves a sensor that can still start', { skip: needsBpf }, (context) => {
    const sensor = loadSensor()
    context.after(() => sensor.close())
    assert.throws(
      () => sensor.start('cgroups', 'critical', new ArrayBuffer(SLAB_BYTES), SLAB_BYTES, 1, () => {}),
      isNativeError,
    )
    assert.equal(stateOf(sensor), 'loaded')
    sensor.start('events', 'critical', new ArrayBuffer(SLAB_BYTES), SLAB_BYTES, 1, () => {})
    assert.equal(stateOf(sensor), 'running')
  })

  test('a refused open leaves a sensor that can be opened', () => {
    const sensor = newSensor()
    const attempts = [
      () => sensor.open('/nonexistent', nativeOptions()),
      () => sensor.open(process.execPath, nativeOptions()),
      () => sensor.open(objectPath(), { ...nativeOptions(), knobs: { no_such_knob: 1 } }),
      () => sensor.open(objectPath(), { ...nativeOptions(), mapEntries: { no_such_map: 1 } }),
      () => sensor.open(objectPath(), { ...nativeOptions(), skip: ['no_such_program'] }),
    ]
    for (const attempt of attempts) {
      assert.throws(attempt, isNativeError)
      assert.equal(stateOf(sensor), 'new')
    }
    sensor.open(objectPath(), nativeOptions())
    sensor.close()
  })
})

/** Nothing here may run code of its own with effect, or end the process. */
const hostileObject = new Proxy(
  {},
  {
    get() {
      throw new Error('get trap')
    },
    ownKeys() {
      throw new Error('ownKeys trap')
    },
  },
)
const throwing = {
  toString() {
    throw new Error('toString')
  },
}
const WRONG_TEXTS: readonly unknown[] = [
  undefined,
  null,
  0,
  Number.NaN,
  1n,
  Symbol('s'),
  {},
  [],
  () => {},
  throwing,
  hostileObject,
]
const WRONG_BYTES: readonly unknown[] = [
  ...WRONG_TEXTS,
  'text',
  new Uint8Array(7),
  new Uint8Array(9),
  new Uint16Array(4),
  new DataView(new ArrayBuffer(8)),
  new ArrayBuffer(8),
]

/** Calls past the types, as JavaScript can. */
const callWith = (sensor: object, method: string, ...args: unknown[]): unknown =>
  Reflect.apply(Reflect.get(sensor, method) as (...args: unknown[]) => unknown, sensor, args)

describe('wrong arguments', () => {
  test('open takes a path and whole options, and passes on what a getter throws', () => {
    const sensor = newSensor()
    const good = nativeOptions()
    for (const wrong of WRONG_TEXTS) assert.throws(() => callWith(sensor, 'open', wrong, good), TypeError)
    for (const wrong of [...WRONG_TEXTS, 'text'])
      assert.throws(() => callWith(sensor, 'open', objectPath(), wrong), /expected|trap/)
    for (const part of [
      { knobs: undefined },
      { knobs: 1 },
      { knobs: { cfg_hierarchy_id: 'text' } },
      { knobs: { cfg_hierarchy_id: throwing } },
      { knobs: hostileObject },
      { mapEntries: null },
      { mapEntries: { events: Symbol('s') } },
      { skip: undefined },
      { skip: 'on_exec' },
      { skip: [1] },
      { skip: [throwing] },
    ])
      assert.throws(() => callWith(sensor, 'open', objectPath(), { ...good, ...part }), /expected|trap/)
    assert.equal(stateOf(sensor), 'new')
    sensor.close()
  })

  test('names must be strings, and of something that exists', { skip: needsBpf }, () => {
    const sensor = loadSensor()
    for (const method of ['attach', 'detach', 'readIterator', 'keys', 'update', 'delete', 'lookup', 'start'])
      for (const wrong of WRONG_TEXTS) assert.throws(() => callWith(sensor, method, wrong), TypeError, method)
    for (const method of ['attach', 'readIterator', 'keys', 'update', 'delete', 'lookup', 'start'])
      assert.throws(
        () => callWith(sensor, method, 'no_such_name'),
        (error) => isNativeError(error) && error.errno === ENOENT && error.message.includes('no_such_name'),
        method,
      )
    assert.throws(() => sensor.readIterator('on_fork'), /on_fork is not an iterator/)
    sensor.close()
  })

  test('keys and values must be Uint8Arrays of exactly the size that the map has', { skip: needsBpf }, () => {
    const sensor = loadSensor()
    const [key, value] = [new Uint8Array(8), new Uint8Array(MAP_CGROUP_BYTES)]
    for (const wrong of WRONG_BYTES) {
      assert.throws(() => callWith(sensor, 'update', 'cgroups', wrong, value), TypeError)
      assert.throws(() => callWith(sensor, 'update', 'cgroups', key, wrong), TypeError)
      assert.throws(() => callWith(sensor, 'delete', 'cgroups', wrong), TypeError)
      assert.throws(() => callWith(sensor, 'lookup', 'cgroups', wrong, value), TypeError)
      assert.throws(() => callWith(sensor, 'lookup', 'cgroups', key, wrong), TypeError)
    }
    assert.throws(
      () => sensor.lookup('drops', new Uint8Array(4), new Uint8Array(7)),
      /expected a Uint8Array of \d+ bytes/,
    )
    sensor.close()
  })

  test('what is written is what is read, also through views into larger buffers', { skip: needsBpf }, () => {
    const sensor = loadSensor()
    const large = new Uint8Array(100).map((_, index) => index)
    sensor.update('cgroups', large.subarray(10, 18), large.subarray(20, 20 + MAP_CGROUP_BYTES))
    const into = new Uint8Array(100)
    assert.equal(sensor.lookup('cgroups', large.subarray(10, 18), into.subarray(5, 5 + MAP_CGROUP_BYTES)), true)
    assert.deepEqual(into.subarray(5, 5 + MAP_CGROUP_BYTES), large.subarray(20, 20 + MAP_CGROUP_BYTES))
    assert.deepEqual([into[4], into[5 + MAP_CGROUP_BYTES]], [0, 0])
    assert.deepEqual([...sensor.keys('cgroups')], [...large.subarray(10, 18)])
    assert.throws(
      () =>
        sensor.update(
          'cgroups',
          large.subarray(10, 18),
          large.subarray(20, 20 + MAP_CGROUP_BYTES),
          1 /* BPF_NOEXIST */,
        ),
      (error) => isNativeError(error) && error.errno === 17,
    )
    assert.equal(sensor.delete('cgroups', large.subarray(10, 18)), true)
    assert.equal(sensor.delete('cgroups', large.subarray(10, 18)), false)
    assert.equal(sensor.lookup('cgroups', large.subarray(10, 18), into.subarray(5, 5 + MAP_CGROUP_BYTES)), false)
    sensor.close()
  })

  test('a pool must be an ArrayBuffer of 1 to 64 slabs of at least 64 KiB', { skip: needsBpf }, () => {
    const sensor = loadSensor()
    const nothing = () => {}
    const pools: [unknown, unknown][] = [
      [new ArrayBuffer(SLAB_BYTES - 8), SLAB_BYTES],
      [new ArrayBuffer(SLAB_BYTES * 65), SLAB_BYTES],
      [new ArrayBuffer(SLAB_BYTES), SLAB_BYTES / 2],
      [new ArrayBuffer(2 * SLAB_BYTES), SLAB_BYTES + 4],
      [new ArrayBuffer(SLAB_BYTES), 0],
      [new ArrayBuffer(SLAB_BYTES), -1],
      [new ArrayBuffer(SLAB_BYTES), Number.NaN],
    ]
    for (const [pool, slabBytes] of pools)
      assert.throws(() => callWith(sensor, 'start', 'events', 'critical', pool, slabBytes, 1, nothing), RangeError)
    for (const pool of [new Uint8Array(SLAB_BYTES), new SharedArrayBuffer(SLAB_BYTES), {}, null])
      assert.throws(() => callWith(sensor, 'start', 'events', 'critical', pool, SLAB_BYTES, 1, nothing), TypeError)
    assert.throws(
      () => callWith(sensor, 'start', 'events', 'critical', new ArrayBuffer(SLAB_BYTES), SLAB_BYTES, 1, null),
      TypeError,
    )
    assert.equal(stateOf(sensor), 'loaded')
    sensor.close()
  })

  test('a slab that is not handed out cannot be released', { skip: needsBpf }, (context) => {
    const { sensor } = closedAfter(
      context,
      startSensor(2, () => {}),
    )
    for (const slab of [0, 1, 2, -1, 2 ** 32, 1e300, Number.NaN])
      assert.equal(sensor.release(slab), false, String(slab))
    for (const wrong of WRONG_TEXTS.filter((value) => typeof value !== 'number'))
      assert.throws(() => callWith(sensor, 'release', wrong), TypeError)
  })

  test('a hook that cannot be attached says which and why', { skip: needsBpf }, () => {
    const sensor = loadSensor()
    assert.throws(() => sensor.attach('on_connect4', '/nonexistent'), /cannot open cgroup \/nonexistent/)
    assert.throws(
      () => sensor.attach('on_connect4', '/tmp'),
      (error) => isNativeError(error) && error.errno > 0 && /cannot attach on_connect4/.test(error.message),
    )
    if (cgroupMounts().kind !== 'v1') sensor.attach('on_connect4', cgroupMounts().identity)
    sensor.attach('on_fork')
    sensor.attach('on_fork')
    sensor.detach('on_fork')
    sensor.detach('on_fork')
    sensor.close()
  })
})

describe('wrong receivers', () => {
  test('methods of the class refuse any other object', () => {
    const prototype = loadAddon().Sensor.prototype as object
    for (const name of Object.keys(METHODS)) {
      const method = Reflect.get(prototype, name) as (...args: unknown[]) => unknown
      for (const receiver of [undefined, null, {}, [], prototype, Object.create(prototype), 'text', () => {}])
        assert.throws(() => Reflect.apply(method, receiver, ['events']), `${name} of ${String(receiver === undefined)}`)
    }
  })

  test('the class is not a function to call, and can be extended', () => {
    const { Sensor } = loadAddon()
    assert.throws(() => Reflect.apply(Sensor, undefined, []), TypeError)
    class Derived extends Sensor {}
    const sensor = new Derived()
    assert.equal(sensor.stats().slabsCount, 0)
    sensor.close()
  })
})
