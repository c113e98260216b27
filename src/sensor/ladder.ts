/**
 * Which rungs this kernel gives, found by trying and never by its version: each upper rung is loaded, attached and run once with
 * a small object of its own (bpf/trial.bpf.c), and of the functions that carry out opens it is tried whether each call comes to them. Then
 * the real object is loaded without the programs that it refuses, with the reason kept. Fails closed: a program that is not optional and does
 * not load is an error of the caller's load.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../telemetry/errors.js'
import { findPackageRoot } from '../telemetry/package-root.js'
import { type Addon, isNativeError, loadAddon, type NativeSensor } from './addon.js'
import { verifiersReason } from './load-error.js'
import { OPTIONAL_PROGRAMS, type RungFamily } from './rungs.js'

export type TriedFamily = Extract<RungFamily, 'lsm' | 'fentry'>

/** The program of bpf/trial.bpf.c and its place in `trials`. */
const TRIALS: readonly { family: TriedFamily; program: string; index: number }[] = [
  { family: 'lsm', program: 'trial_lsm', index: 0 },
  { family: 'fentry', program: 'trial_fentry', index: 1 },
]
/** Programs on tracepoints that not every kernel has, and the trial of each: it loads where the tracepoint is. */
const TRACEPOINT_TRIALS: Readonly<Record<string, string>> = {
  on_ring_submit_req: 'trial_ring_submit_req',
  on_ring_submit_sqe: 'trial_ring_submit_sqe',
  on_ring_complete: 'trial_ring_complete',
  on_ring_overflow: 'trial_ring_overflow',
  on_capability_asked: 'trial_cap_capable',
}
/** Loads where programs may read the kernel's objects by loads (KERNEL_READ of bpf/lib/kernel_read.bpf.h). */
const CAST_TRIAL = 'trial_cast'
/** What each of the calls that open returned, by the function that they come to. */
export type OpenResults = Readonly<Record<'byPath' | 'byHandle', readonly number[]>>

/** The programs that tell opens, and the trial of each. */
const OPEN_TRIALS: readonly { program: string; trial: string; index: number; calls: keyof OpenResults }[] = [
  { program: 'on_open_result', trial: 'trial_open', index: 2, calls: 'byPath' },
  { program: 'on_open_by_handle', trial: 'trial_open_by_handle', index: 3, calls: 'byHandle' },
]
const ALL_TRIALS = [
  ...TRIALS.map(({ program }) => program),
  ...Object.values(TRACEPOINT_TRIALS),
  ...OPEN_TRIALS.map(({ trial }) => trial),
  CAST_TRIAL,
]
/** A mode that no program gives its files; as a negative descriptor it is none. */
const OPEN_MARK = 0o5246
const [EPERM, ENOSYS] = [1, 38]
const LSM_LIST = '/sys/kernel/security/lsm'

/** Why a rung, or a program, is not there; '' is never a reason. */
export type Reasons<Name extends string> = ReadonlyMap<Name, string>

/** The rungs that do not work here, with the reason. */
export function tryRungs(): Reasons<TriedFamily> {
  const missing = new Map<TriedFamily, string>()
  for (const { family, program, index } of TRIALS) {
    const reason = runTrial(program, index, () => {
      readFileSync('/dev/null') // the act that the trial's hooks see
      return (runsCount) => (runsCount > 0 ? '' : `it attaches but never runs${whyLsmIsSilent(program)}`)
    })
    if (reason !== '') missing.set(family, reason)
  }
  return missing
}

/** Makes one open, to no effect, by each of the calls. */
export function callOpens(addon: Addon): OpenResults {
  const results = addon.callOpens(OPEN_MARK)
  return { byPath: results.slice(0, -1), byHandle: results.slice(-1) }
}

/** The programs that would miss opens here, with the reason. */
export function tryOpenFunctions(open: (addon: Addon) => OpenResults = callOpens): Reasons<string> {
  const missing = new Map<string, string>()
  for (const { program, trial, index, calls } of OPEN_TRIALS) {
    const reason = runTrial(trial, index, (addon) => {
      const results = open(addon)[calls]
      return (runsCount) => whyNotEach(runsCount, results)
    })
    if (reason !== '') missing.set(program, reason)
  }
  return missing
}

/** Did the function run once for each call? Not for one that seccomp turned away, if that was it. */
export function whyNotEach(runsCount: number, results: readonly number[]): string {
  const mayBeTurnedAway = results.filter((result) => result === -EPERM || result === -ENOSYS)
  const leastCount = results.length - mayBeTurnedAway.length
  if (runsCount >= leastCount && runsCount <= results.length) return ''
  return `it ran ${runsCount} times for ${results.length} calls: the kernel's compiler has put the function into its callers`
}

/** Loads and attaches the trial and has it see an act; why it does not serve, or ''. `act` returns what judges the number of runs. */
function runTrial(program: string, index: number, act: (addon: Addon) => (runsCount: number) => string): string {
  const addon = loadAddon()
  const native = new addon.Sensor()
  try {
    loadTrial(native, program)
    native.attach(program)
    const judge = act(addon)
    const key = new Uint8Array(4)
    new DataView(key.buffer).setUint32(0, index, true)
    const runs = new BigUint64Array(1)
    return judge(native.lookup('trials', key, new Uint8Array(runs.buffer)) ? Number(runs[0]) : 0)
  } catch (error) {
    return reasonOf(error, program)
  } finally {
    native.close()
  }
}

function loadTrial(native: NativeSensor, program: string): void {
  const skip = ALL_TRIALS.filter((name) => name !== program)
  native.open(join(findPackageRoot(), 'dist', 'bpf', 'trial.bpf.o'), {
    knobs: { cfg_open_mark: OPEN_MARK },
    mapEntries: {},
    skip,
  })
  native.load()
}

/** The programs whose tracepoint is not there, with the reason. */
function tryTracepoints(): Map<string, string> {
  const missing = new Map<string, string>()
  for (const [program, trial] of Object.entries(TRACEPOINT_TRIALS)) {
    const reason = whyNotLoaded(trial)
    if (reason !== '') missing.set(program, reason)
  }
  return missing
}

/** Loads the trial and lets it go; why it does not load, or ''. */
function whyNotLoaded(trial: string): string {
  const native = new (loadAddon().Sensor)()
  try {
    loadTrial(native, trial)
    return ''
  } catch (error) {
    return reasonOf(error, trial)
  } finally {
    native.close()
  }
}

function whyLsmIsSilent(program: string): string {
  if (program !== 'trial_lsm') return ''
  try {
    return `: bpf is not among the kernel's LSMs (${readFileSync(LSM_LIST, 'utf8').trim()})`
  } catch {
    return ": bpf is not among the kernel's LSMs"
  }
}

export interface Loaded {
  native: NativeSensor
  /** Optional programs that are not loaded. */
  missing: Reasons<string>
}

/** What the object is opened with: without these programs, and whether it may read by loads. */
export interface Allowed {
  skip: readonly string[]
  canCast: boolean
}

/**
 * `make` opens the object without the given programs, ready to load. A refused optional program is left out and the rest tried
 * again, so at most as many loads as there are optional programs.
 */
export function loadByTrying(make: (allowed: Allowed) => NativeSensor): Loaded {
  const rungs = tryRungs()
  const missing = tryTracepoints()
  for (const { program, family } of OPTIONAL_PROGRAMS) {
    const tried = family === 'fexit' ? 'fentry' : family
    const reason = tried === 'lsm' || tried === 'fentry' ? rungs.get(tried) : undefined
    if (reason !== undefined) missing.set(program, reason)
  }
  if (!rungs.has('fentry')) for (const [program, reason] of tryOpenFunctions()) missing.set(program, reason)
  // both would tell the same question; the first knows more of it
  if (!missing.has('on_capability_used')) missing.set('on_capability_asked', 'fexit/security_capable is there')
  return loadWithout(missing, whyNotLoaded(CAST_TRIAL) === '', make)
}

/** Loads without what is missing, and adds to it. What the verifier does not take with reads by loads may still do without them. */
export function loadWithout(
  missing: Map<string, string>,
  mayCast: boolean,
  make: (allowed: Allowed) => NativeSensor,
): Loaded {
  let canCast = mayCast
  let doubted: string | undefined
  for (;;) {
    const native = make({ skip: [...missing.keys()], canCast })
    try {
      native.load()
      return { native, missing }
    } catch (error) {
      native.close()
      const program = refusedProgram(error)
      if (canCast && program !== doubted && isNativeError(error) && verifiersReason(error.log) !== undefined) {
        canCast = false
        doubted = program
        continue
      }
      const isOptional = OPTIONAL_PROGRAMS.some((optional) => optional.program === program)
      if (program === undefined || !isOptional || missing.has(program)) throw error
      missing.set(program, reasonOf(error, program))
      canCast = mayCast // it was not the loads
    }
  }
}

/** The program that libbpf's last words are about. */
function refusedProgram(error: unknown): string | undefined {
  if (!isNativeError(error)) return undefined
  return [...error.log.matchAll(/prog '(\w+)': /g)].at(-1)?.[1]
}

function reasonOf(error: unknown, program: string): string {
  if (!isNativeError(error)) return messageOf(error)
  const refused = verifiersReason(error.log)
  if (refused !== undefined) return refused
  const said = error.log.split('\n').find((line) => line.includes(`prog '${program}': `))
  // libbpf's own words about the load say no more than the error does. ENOTSUPP is the kernel's alone, so no library has a text for it.
  return (said?.replace(/^.*prog '\w+': (BPF program load failed: )?/, '') ?? error.message)
    .replace(/ERROR: strerror_r\(-524\)=\d+/, 'this kernel cannot (ENOTSUPP)')
    .trim()
}
