/** programs/capable.bpf.c at the tracepoint or the function: which questions after capabilities are told, how often, and of whom. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { capabilityNumber } from '../../src/policy/capabilities.js'
import { Act, Rung } from '../../src/sensor/generated/abi.js'
import { sys } from '../support/call-acts.js'
import { CallStage, type Given, type StageDone, s, skipCalls } from '../support/call-stage.js'

const EPERM = -1n
const APP = 4711
const [PRIO_PROCESS, CLONE_NEWUSER] = [0, 0x10000000]
const number = (name: string) => capabilityNumber(name) ?? -1
/** The initial user namespace: test containers have no other. */
const HOST_NS = statSync('/proc/self/ns/user').ino

describe('uses of capabilities', { skip: skipCalls }, () => {
  let stage: CallStage
  before(async () => {
    stage = await CallStage.open()
  })
  after(() => stage.close())

  /** `args` are those of the call in which it was asked. */
  const used = (name: string, call: string, args: Given['args'] = [], more: Given = {}): Given => ({
    ...{ call, act: Act.CAPABLE, args, facts: [number(name), HOST_NS] },
    rung: stage.sensor.sensor.missing.has('on_capability_used') ? Rung.TRACEPOINT : Rung.FUNCTION,
    ...more,
  })
  /** Without those at the start and the end of the program, which are the same each time. */
  const ofCalls = (done: StageDone, ...names: string[]) => {
    const wanted = names.map((name) => sys(name)[1])
    return { ...done, events: done.events.filter(({ nr }) => wanted.includes(nr)) }
  }

  test('every field of capable', async () => {
    const done = await stage.doing('capable', ...sys('chroot', s('/')))
    assert.deepEqual(done.results, [0n])
    stage.assertAll(ofCalls(done, 'chroot'), used('SYS_CHROOT', 'chroot'))
  })

  test('what a process has not is told with the answer', async () => {
    const done = await stage.doing('capable', ...sys('setuid', APP), ...sys('chroot', s('/')))
    assert.deepEqual(done.results, [0n, EPERM])
    stage.assertAll(
      ofCalls(done, 'chroot', 'setuid'),
      used('SETUID', 'setuid'),
      used('SYS_CHROOT', 'chroot', [], { result: EPERM, uid: APP }),
    )
  })

  test('the same again is counted, not told: another capability, and another answer, are', async () => {
    const before = BigInt(stage.sensor.repeatsOf('call'))
    const done = await stage.doing(
      'capable',
      ...sys('chroot', s('/')),
      ...sys('chroot', s('/')),
      ...sys('chroot', s('/')),
      ...sys('setpriority', PRIO_PROCESS, 0, -1),
    )
    const events = ofCalls(done, 'chroot', 'setpriority').events.map(({ facts }) => Number(facts[0]))
    assert.deepEqual(events, [number('SYS_CHROOT'), number('SYS_NICE')])
    assert.equal(BigInt(stage.sensor.repeatsOf('call')) - before, 2n)
  })

  test('in a user namespace of its own its number is told', async () => {
    const done = await stage.doing(
      'capable',
      ...sys('setuid', APP),
      ...sys('unshare', CLONE_NEWUSER),
      ...sys('chroot', s('/')),
    )
    const [event, ...others] = ofCalls(done, 'chroot').events
    assert.equal(others.length, 0)
    assert.equal(event?.result, 0n)
    assert.notEqual(Number(event.facts[1]), HOST_NS)
  })

  test('memory that a process asks for, and files that it looks at, are no uses', async () => {
    const done = await stage.doing(
      'capable',
      ...sys('mmap', 0, 1 << 20, 3, 0x22, -1, 0),
      ...sys('brk', 0),
      ...sys('access', s('/etc/shadow'), 4),
    )
    const nrs = ['mmap', 'brk', 'access'].map((name) => sys(name)[1])
    assert.deepEqual(
      done.events.filter(({ nr }) => nrs.includes(nr)),
      [],
    )
  })

  test('nothing is told of who is not asked about', async () => {
    assert.deepEqual(
      (await stage.doing('chroot', ...sys('chroot', s('/')))).events.map(({ act }) => act),
      [Act.CHROOT],
    )
  })
})
