/**
 * System call names and numbers of x86-64 and its compatibility ABIs, from the generated tables. A policy speaks of
 * native calls by name; a compatibility call counts as the native one of the same name.
 */
import { IA32_SYSCALLS, NATIVE_SYSCALLS, X32_SYSCALLS } from './generated/syscalls.js'

export type Abi = 0 | 1 | 2
export const ABI_NATIVE: Abi = 0
export const ABI_IA32: Abi = 1
export const ABI_X32: Abi = 2
export const ABI_NAMES = ['native', 'ia32', 'x32'] as const

/** The kernel's marker in the number of an x32 call (__X32_SYSCALL_BIT). */
export const X32_BIT = 0x40000000

const tables: readonly (readonly string[])[] = [NATIVE_SYSCALLS, IA32_SYSCALLS, X32_SYSCALLS].map((text) =>
  text.split(' ').map((name) => (name === '-' ? '' : name)),
)
const nativeByName = new Map(
  (tables[ABI_NATIVE] ?? []).flatMap((name, nr) => (name === '' ? [] : [[name, nr] as const])),
)

/** Per ABI: its number -> the native number of the same-named call, -1 where there is none. */
const toNative: readonly Int32Array[] = tables.map((names) =>
  Int32Array.from(names, (name) => nativeByName.get(name) ?? -1),
)

/** Names by number, empty where the table has a hole; x32 numbers without their marker. */
export function syscallTable(abi: Abi): readonly string[] {
  return tables[abi] ?? []
}

export function syscallNumber(name: string): number | undefined {
  return nativeByName.get(name)
}

export function syscallNames(): Iterable<string> {
  return nativeByName.keys()
}

/** The name of call `nr` of `abi`'s own table; `syscall_NR` when the table does not know it. */
export function syscallName(nr: number, abi: number): string {
  const name = tables[abi]?.[abi === ABI_X32 ? nr & ~X32_BIT : nr]
  return name === undefined || name === '' ? `syscall_${nr}` : name
}

/** The native number of the call with the same name, or -1: no such call, unknown number, unknown ABI. */
export function nativeSyscall(nr: number, abi: number): number {
  if (abi === ABI_NATIVE) return nr
  return toNative[abi]?.[abi === ABI_X32 ? nr & ~X32_BIT : nr] ?? -1
}
