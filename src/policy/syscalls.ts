/**
 * System call names and numbers per architecture and ABI, from the generated tables. A policy speaks of native calls by name; a
 * compatibility call counts as the native one of the same name. A policy means the same on hosts of either architecture: a name
 * that only the other one has (x86-64's `open`, which arm64 serves to 32-bit programs alone) is known too, by a number that no
 * native call of this one has.
 */
import type { AbiName } from '../record/call-model.js'
import { AARCH32_SYSCALLS, ARM64_SYSCALLS, IA32_SYSCALLS, X32_SYSCALLS, X86_64_SYSCALLS } from './generated/syscalls.js'

/** Its number with the kernel: 1 is the 32-bit ABI of the machine, whichever that is. */
export type Abi = 0 | 1 | 2
export const ABI_NATIVE: Abi = 0
export const ABI_32_BITS: Abi = 1

/** The kernel's marker in the number of an x32 call (__X32_SYSCALL_BIT). */
export const X32_BIT = 0x40000000
/** Native tables end below it (HG_SYSCALLS_MAX of bpf/abi.h); numbers of names that only the other architecture has begin here. */
export const FOREIGN_FIRST = 512
/** All numbers that a policy's names have are below it. */
export const SYSCALL_NUMBERS_MAX = 1024

/** Native first. */
const ARCHITECTURES: Readonly<Record<string, readonly (readonly [AbiName, string])[]>> = {
  x64: [
    ['native', X86_64_SYSCALLS],
    ['ia32', IA32_SYSCALLS],
    ['x32', X32_SYSCALLS],
  ],
  arm64: [
    ['native', ARM64_SYSCALLS],
    ['aarch32', AARCH32_SYSCALLS],
  ],
}

const namesOf = (text: string): string[] => text.split(' ').map((name) => (name === '-' ? '' : name))

/** The calls of one architecture. */
export class Syscalls {
  /** By number of the ABI. */
  readonly abiNames: readonly AbiName[]
  readonly #own: readonly (readonly string[])[]
  /** By a policy's number: the native names, then those of the other architecture. */
  readonly #known: readonly string[]
  readonly #byName: ReadonlyMap<string, number>
  /** Per ABI: its number -> the number of the same-named call, -1 where there is none. */
  readonly #toNative: readonly Int32Array[]

  /** arch: as process.arch says it; x86-64 stands for those that no probe is built for. */
  constructor(arch: string) {
    const own = ARCHITECTURES[arch] ?? ARCHITECTURES.x64 ?? []
    this.abiNames = own.map(([name]) => name)
    this.#own = own.map(([, text]) => namesOf(text))
    const [native = []] = this.#own
    const foreign = Object.values(ARCHITECTURES).flatMap(([first]) => namesOf(first?.[1] ?? ''))
    const known = [...native, ...Array.from({ length: FOREIGN_FIRST - native.length }, () => '')]
    for (const name of foreign) if (!known.includes(name)) known.push(name)
    this.#known = known
    this.#byName = new Map(known.flatMap((name, nr) => (name === '' ? [] : [[name, nr] as const])))
    this.#toNative = this.#own.map((names) => Int32Array.from(names, (name) => this.#byName.get(name) ?? -1))
  }

  /** Names by number, empty where the table has a hole; x32 numbers without their marker. Foreign names are in none. */
  table(abi: Abi): readonly string[] {
    return this.#own[abi] ?? []
  }

  number(name: string): number | undefined {
    return this.#byName.get(name)
  }

  names(): Iterable<string> {
    return this.#byName.keys()
  }

  /** The name of call `nr` of `abi`'s own table, as a process gave it; `syscall_NR` when the table does not know it. */
  name(nr: number, abi: number): string {
    return this.#own[abi]?.[this.#withoutMarker(nr, abi)] || `syscall_${nr}`
  }

  /** The name that a policy has for a number of `number`, also one that only the other architecture has. */
  policyName(nr: number): string {
    return this.#known[nr] || `syscall_${nr}`
  }

  /**
   * The number that a policy has for call `nr` of `abi`, or -1: no call of that name, unknown number, unknown ABI. No native call
   * has a number of FOREIGN_FIRST or above: a process that makes up such a number makes no call that a policy names.
   */
  native(nr: number, abi: number): number {
    if (abi === ABI_NATIVE) return nr < FOREIGN_FIRST ? nr : -1
    return this.#toNative[abi]?.[this.#withoutMarker(nr, abi)] ?? -1
  }

  #withoutMarker(nr: number, abi: number): number {
    return this.abiNames[abi] === 'x32' ? nr & ~X32_BIT : nr
  }
}

/** Those of this machine. */
export const HOST_SYSCALLS = new Syscalls(process.arch)
export const ABI_NAMES: readonly AbiName[] = HOST_SYSCALLS.abiNames

export function syscallNumber(name: string): number | undefined {
  return HOST_SYSCALLS.number(name)
}

export function syscallNames(): Iterable<string> {
  return HOST_SYSCALLS.names()
}

export function syscallName(nr: number, abi: number): string {
  return HOST_SYSCALLS.name(nr, abi)
}

export function policySyscallName(nr: number): string {
  return HOST_SYSCALLS.policyName(nr)
}

export function nativeSyscall(nr: number, abi: number): number {
  return HOST_SYSCALLS.native(nr, abi)
}
