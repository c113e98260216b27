/** Syscall rules -> per ABI the calls that violate any of them, and those for which the kernel is to end the process. */
import type { RuleId } from '../match/types.js'
import type { SyscallRule } from '../policy/model.js'
import { ABI_NAMES, ABI_NATIVE, FOREIGN_FIRST, nativeSyscall } from '../policy/syscalls.js'
import type { Action } from '../record/model.js'

/** A call with a higher number (x32 has some) is in no table: the kernel reports it, user space judges. */
const TABLE_CALLS = FOREIGN_FIRST
const WORD_BITS = 64

export interface SyscallTable {
  /** As in Program.matchSyscall. */
  readonly abi: number
  /** Word w, bit b: call w × 64 + b (x32 without its marker bit). */
  readonly outside: readonly bigint[]
  /** Of those, the calls that violate a rule which ends the process. Not to be heeded in phase `setup`. */
  readonly killMask: readonly bigint[]
}

export function lowerSyscalls(rules: readonly { id: RuleId; rule: SyscallRule; action: Action }[]): SyscallTable[] {
  if (rules.length === 0) return []
  const deadly = rules.filter(({ action }) => action === 'kill')
  return ABI_NAMES.map((_, abi) => ({
    abi,
    outside: wordsOf((nr) => rules.some(({ rule }) => violates(rule, nr, abi))),
    killMask: wordsOf((nr) => deadly.some(({ rule }) => violates(rule, nr, abi))),
  }))
}

function violates(rule: SyscallRule, nr: number, abi: number): boolean {
  if (rule.deny.has(nativeSyscall(nr, abi))) return true
  return rule.allow !== undefined && (abi !== ABI_NATIVE || !rule.allow.has(nr))
}

function wordsOf(isSet: (nr: number) => boolean): bigint[] {
  return Array.from({ length: TABLE_CALLS / WORD_BITS }, (_, word) => {
    let bits = 0n
    for (let bit = 0; bit < WORD_BITS; bit++) if (isSet(word * WORD_BITS + bit)) bits |= 1n << BigInt(bit)
    return bits
  })
}
