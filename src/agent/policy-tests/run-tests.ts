/**
 * Runs the tests that stand beside policies: each test's event goes through the agent's own pipeline, alone, in a container
 * made for it, and the rules of its policy that hit are compared with those it expects. Nothing is acted on.
 */
import { type Identity, NO_MOUNTS } from '../../container/identity.js'
import { labelOfFact, ORCHESTRATORS, patternsOf } from '../../match/facts.js'
import { compileProgram } from '../../match/program.js'
import { selects } from '../../match/selector.js'
import { STATES } from '../../policy/keys.js'
import type { ContainerSelector, Policy, PolicyTest, SelectorState } from '../../policy/model.js'
import { type ContainerRef, HOST } from '../../record/model.js'
import { BREAKER_DEFAULTS, CircuitBreaker } from '../../respond/breaker.js'
import { BatchWalker } from '../../sensor/batch.js'
import { Counters } from '../../telemetry/counters.js'
import { HeldEvents } from '../event/held-events.js'
import { composePipeline } from '../pipeline/compose.js'
import { ProcessImage } from '../process/image.js'
import { type ProcessEntry, type ProcessFacts, ProcessTable } from '../process/process-table.js'
import { PolicySet } from '../rules/policies.js'
import { type Actor, eventBytes, TARGET_PID } from './test-event.js'
import { TestFault, TestValues } from './test-values.js'

export interface TestOutcome {
  policy: string
  test: PolicyTest
  passed: boolean
  /** Rules that hit, in their order. */
  hits: readonly string[]
  /** Why it could not be run; empty: it was. */
  fault: string
}

const CGROUP = 42n
const PID = 4_000_001
const PARENT_PID = 4_000_002
const START_NS = 500_000_000n
const CONTAINER_ID = '0123456789abcdef'.repeat(4)

export function runPolicyTests(policies: readonly Policy[]): TestOutcome[] {
  return policies.flatMap((policy) => {
    if (policy.tests.length === 0) return []
    const set = new PolicySet(1, compileProgram([policy]))
    return policy.tests.map((test) => runTest(policy, set, test))
  })
}

function runTest(policy: Policy, set: PolicySet, test: PolicyTest): TestOutcome {
  try {
    const hits = hitsOf(policy, set, test)
    const wanted = new Set(test.expect)
    const passed = hits.length === wanted.size && hits.every((name) => wanted.has(name))
    return { policy: policy.name, test, passed, hits, fault: '' }
  } catch (error) {
    if (!(error instanceof TestFault)) throw error
    return { policy: policy.name, test, passed: false, hits: [], fault: error.message }
  }
}

function hitsOf(policy: Policy, set: PolicySet, test: PolicyTest): string[] {
  const identity = identityOf(containerOf(policy.containers, test))
  const counters = new Counters()
  counters.define('sensor_undecodable_total', 'counter', 'Events of tests that did not decode')
  const processes = new ProcessTable(counters)
  const { actor, user } = actorOf(test, processes)
  const hits = new Set<string>()
  const { pipeline } = composePipeline({
    table: {
      lookup: () => identity,
      lookup32: () => identity,
      onCgroupCreated: () => undefined,
      onCgroupRemoved: () => {},
    },
    policies: { forVersion: () => set, isHostWanted: set.conditions.isForHost },
    processes,
    held: new HeldEvents(counters),
    users: { nameOf: (uid) => (uid === actor.uid ? user : '') },
    utcNs: (bootNs) => bootNs,
    hostname: '',
    isOwnFile: () => false,
    judgesFirstUses: true,
    isActRecorded: () => true,
    areNamesRecorded: true,
    append: ({ kind, alert }) => {
      if (kind === 'alert' && alert?.policy === policy.name) hits.add(alert.rule)
      return { seq: 1n }
    },
    onCgroup: () => {},
    onLost: () => {},
    onWaiting: () => {},
    response: {
      confirm: () => false,
      isBlocking: () => false,
      breaker: new CircuitBreaker({ ...BREAKER_DEFAULTS, nowMs: () => 0 }, () => {}),
      onActed: () => {},
      foresee: () => ({ outcome: 'none', hook: '', text: '' }),
    },
    counters,
  })
  const bytes = eventBytes(test.event, actor, CGROUP)
  const walker = new BatchWalker(bytes.buffer)
  pipeline.handOn(identity, (handler) => walker.dispatchUnnumbered(0, bytes.length, handler))
  pipeline.flushWaiting()
  if (counters.get('sensor_undecodable_total') > 0) throw new TestFault('the event that was made up cannot be read')
  return policy.rules.map(({ name }) => name).filter((name) => hits.has(name))
}

function actorOf({ event }: PolicyTest, processes: ProcessTable): { actor: Actor; user: string } {
  const values = new TestValues(event.process, 'process')
  const exe = values.text('exe', '/bin/sh')
  const parent: ProcessEntry = {
    ...entryOf(PARENT_PID, values.text('parent.exe', '/sbin/init'), values.texts('parent.args', [])),
    parentPid: 0,
    parentStartNs: 0n,
  }
  const actor: Actor & ProcessEntry = {
    ...entryOf(values.number('pid', PID), exe, values.texts('args', [exe])),
    parentPid: PARENT_PID,
    parentStartNs: START_NS,
    invoked: values.text('invoked', exe),
    cwd: values.text('cwd', '/'),
    uid: values.number('uid', 0),
    gid: values.number('gid', 0),
    phase: event.setup ? 'setup' : 'run',
    comm: values.text('comm', ''),
    env: Object.entries(values.below('env.')).map(([name, value]) => `${name}=${value}`),
    tty: values.number('tty', 0),
  }
  actor.facts = { ...NO_FACTS, tty: actor.tty }
  actor.image = ProcessImage.ofTexts(actor)
  const user = values.text('user', actor.uid === 0 ? 'root' : '')
  values.done()
  processes.set(parent)
  processes.set(actor)
  processes.set(entryOf(TARGET_PID, '/bin/sleep', ['/bin/sleep', '600']))
  return { actor, user }
}

/** What a process has that no exec told of. */
const NO_FACTS: ProcessFacts = {
  ...{ flags: 0, inode: 0n, capPermitted: 0n, capEffective: 0n, capInheritable: 0n },
  ...{ loginuid: 0xffff_ffff, tty: 0, vpgid: 0, sid: 0 },
}

function entryOf(pid: number, exe: string, args: readonly string[]): ProcessEntry {
  return {
    ...{ pid, startNs: START_NS, parentPid: PARENT_PID, parentStartNs: START_NS },
    ...{ exe, invoked: exe, args: args.length === 0 ? [exe] : args, cwd: '/', uid: 0, gid: 0, phase: 'run' },
  }
}

/** The container that the test names, on top of one that the policy selects. Throws TestFault when it selects neither. */
function containerOf(selector: ContainerSelector, { event }: PolicyTest): ContainerRef {
  const values = new TestValues(event.container, 'container')
  const preset = (patterns: readonly string[] | undefined, otherwise: string) => exampleOf(patterns) ?? otherwise
  const privileged = values.flag('privileged', selector.privileged ?? false)
  const ref: ContainerRef = {
    state: stateOf(values, selector.state),
    id: values.text('id', preset(selector.id, CONTAINER_ID)),
    name: values.text('name', preset(selector.name, 'test')),
    image: values.text('image', preset(selector.image, 'test')),
    imageId: values.text('image_id', ''),
    runtime: values.text('runtime', preset(selector.runtime, 'runc')),
    labels: { ...labelsOf(selector), ...values.below('label.'), ...values.below('labels.') },
    outerIds: [],
    user: values.text('user', preset(selector.user, '')),
    privileged,
  }
  values.done()
  const chosen = ref.state === 'host' ? HOST : ref
  if (Object.keys(event.container).length === 0 && !selects(selector, chosen))
    throw new TestFault(
      'no container could be made up that the policy selects: say which with `container` in the event',
    )
  return chosen
}

function stateOf(values: TestValues, wanted: readonly SelectorState[] | undefined): ContainerRef['state'] {
  const preset = wanted === undefined || wanted.includes('container') ? 'container' : (wanted[0] ?? 'container')
  const given = values.text('state', preset)
  const state = STATES.find((name) => name === given)
  if (state === undefined) throw new TestFault(`\`container.state\` is ${STATES.join(', ')}, not \`${given}\``)
  return state
}

/** Labels that the selector asks for, also by what orchestrators say in them. */
function labelsOf(selector: ContainerSelector): Record<string, string> {
  const wanted = Object.entries(selector.labels ?? {})
  for (const orchestrator of ORCHESTRATORS)
    for (const [fact, patterns] of patternsOf(selector, orchestrator)) {
      const label = labelOfFact(orchestrator, fact)
      if (label !== undefined) wanted.push([label, patterns])
    }
  return Object.fromEntries(
    wanted.flatMap(([key, patterns]) => {
      const example = exampleOf(patterns)
      return example === undefined ? [] : [[key, example]]
    }),
  )
}

/** A text that the first plain pattern matches. */
function exampleOf(patterns: readonly string[] | undefined): string | undefined {
  return patterns
    ?.find((pattern) => !pattern.startsWith('!'))
    ?.replaceAll('*', '')
    .replaceAll('?', 'x')
}

function identityOf(ref: ContainerRef): Identity {
  return {
    ref: Object.freeze(ref),
    confirmed: ref.state === 'container',
    rootCgroupId: CGROUP,
    rootLevel: 1,
    cgroupPath: '/test',
    initPid: undefined,
    initStartTicks: undefined,
    sharesHostPids: undefined,
    privileged: ref.privileged,
    mounts: NO_MOUNTS,
    createdMs: undefined,
    ownerUid: undefined,
  }
}
