/**
 * Syscall rules -> per ABI the calls that violate any of them, those for which the kernel is to end the process, and those that it
 * judges when they end instead of when they begin: the hook at the end of calls is there for acts as well, and knows the result
 * (docs/decisions/0032).
 */
import type { SyscallRule } from '../policy/model.js'
import { ABI_NAMES, ABI_NATIVE, type Abi, FOREIGN_FIRST, HOST_SYSCALLS, nativeSyscall } from '../policy/syscalls.js'

/** A call with a higher number (x32 has some) is in no table: the kernel reports it, user space judges. */
const TABLE_CALLS = FOREIGN_FIRST
const WORD_BITS = 64

/** They do not end where they began: in another program, in another process, in none, or as no call (the returns from handlers). */
const ENTRY_CALLS: ReadonlySet<string> = new Set([
  ...['execve', 'execveat', 'exit', 'exit_group'],
  ...['fork', 'vfork', 'clone', 'clone3', 'sigreturn', 'rt_sigreturn', 'uprobe', 'uretprobe'],
])

export const ENTRY_HOOK = 'on_sys_enter'
export const END_HOOK = 'on_sys_exit'

export interface SyscallTable {
  /** As in Program.matchSyscall. */
  readonly abi: number
  /** Word w, bit b: call w × 64 + b (x32 without its marker bit). */
  readonly outside: readonly bigint[]
  /** Of those, the calls that violate a rule which ends the process. Not to be heeded in phase `setup`. */
  readonly killMask: readonly bigint[]
  /** Of `outside`, the calls that are judged when they end: none that a rule would kill for, in whichever mode. */
  readonly atEnd: readonly bigint[]
}

export interface SyscallCandidate {
  readonly rule: SyscallRule
  /** The kernel ends the process. Of the other rules it reports the calls, and user space judges them. */
  readonly isKernelKill: boolean
}

export function lowerSyscalls(rules: readonly SyscallCandidate[]): SyscallTable[] {
  if (rules.length === 0) return []
  const deadly = rules.filter(({ isKernelKill }) => isKernelKill)
  return ABI_NAMES.map((_, abi) => {
    const names = HOST_SYSCALLS.table(abi as Abi)
    const isOutside = (nr: number) => rules.some(({ rule }) => violates(rule, nr, abi))
    const isKillers = (nr: number) => rules.some(({ rule }) => rule.action === 'kill' && violates(rule, nr, abi))
    return {
      abi,
      outside: wordsOf(isOutside),
      killMask: wordsOf((nr) => deadly.some(({ rule }) => violates(rule, nr, abi))),
      atEnd: wordsOf((nr) => isOutside(nr) && !isKillers(nr) && !ENTRY_CALLS.has(names[nr] ?? '')),
    }
  })
}

/** The programs that judge calls by these tables; all of them when they begin where `isAtEntry`. */
export function hooksOfCalls(tables: readonly SyscallTable[], isAtEntry = false): string[] {
  const has = (pick: (table: SyscallTable, word: number) => bigint | undefined) =>
    tables.some((table) => table.outside.some((_, word) => (pick(table, word) ?? 0n) !== 0n))
  if (isAtEntry) return tables.length > 0 ? [ENTRY_HOOK] : []
  const isEnded = has(({ atEnd }, word) => atEnd[word])
  const isBegun = has(({ outside, atEnd }, word) => (outside[word] ?? 0n) & ~(atEnd[word] ?? 0n))
  return [...(isBegun ? [ENTRY_HOOK] : []), ...(isEnded ? [END_HOOK] : [])]
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
