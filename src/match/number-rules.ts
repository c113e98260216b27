/** Rules about numbers, of calls and of capabilities: by number who denies it, by rule what it allows as bits. */
import { CAPABILITIES_MAX } from '../policy/capabilities.js'
import { type CapabilityIndex, SYSCALL_WORDS, type SyscallIndex } from './compile.js'
import type { CompiledProfile } from './profile.js'
import { NO_CODE, type Scores } from './scores.js'
import type { RuleSet } from './tally.js'

/** `call`: number of the machine's own ABI; -1: there is none. `isAllowable`: allow lists can name it. */
export function judgeSyscall(
  { allowed, denied }: SyscallIndex,
  own: CompiledProfile,
  call: number,
  isAllowable: boolean,
  scores: Scores,
): RuleSet {
  const { first, violated } = scores
  if (call !== -1) scores.raise(denied, call, 0, own, first, NO_CODE)
  for (let index = 0; index < own.syscallByDefault.length; index++) {
    const rule = own.syscallByDefault[index] as number
    const word = isAllowable ? (allowed[rule * SYSCALL_WORDS + (call >>> 5)] as number) : 0
    if (((word >>> (call & 31)) & 1) === 0 || first.best(rule) !== -1) violated.add(rule)
  }
  return withDenied(scores)
}

/** Bit n of low (0..31) and high (32..63): capability n. */
export function judgeCapability(
  { allowed, denied }: CapabilityIndex,
  own: CompiledProfile,
  low: number,
  high: number,
  scores: Scores,
): RuleSet {
  const { first, violated } = scores
  for (let number = 0; number < CAPABILITIES_MAX; number++)
    if ((((number < 32 ? low : high) >>> (number & 31)) & 1) === 1) scores.raise(denied, number, 0, own, first, NO_CODE)
  for (let index = 0; index < own.capabilityByDefault.length; index++) {
    const rule = own.capabilityByDefault[index] as number
    const outside = (low & ~(allowed[rule * 2] as number)) | (high & ~(allowed[rule * 2 + 1] as number))
    if (outside !== 0 || first.best(rule) !== -1) violated.add(rule)
  }
  return withDenied(scores)
}

function withDenied({ denied, violated }: Scores): RuleSet {
  for (let index = 0; index < denied.count; index++) violated.add(denied.items[index] as number)
  return violated
}
