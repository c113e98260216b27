/**
 * Every call that opens, with every field that a record of it is made from: the same on every rung (the end of the kernel's functions
 * or of the call), but for what openat2 asked for, which only the former has from the kernel.
 */
import { ABI_NATIVE, HOST_SYSCALLS, syscallName, syscallNumber } from '../../../src/policy/syscalls.js'
import { callRanges } from '../../../src/sensor/batch.js'
import { Access, CallFlag, type EvCall, Rung } from '../../../src/sensor/generated/abi.js'
import { decodeText } from '../../../src/sensor/text.js'

export interface OpenSeen {
  call: string
  /** A descriptor as 0. */
  result: number
  hasFd: boolean
  path: string
  raw: string
  flags: bigint
  mode: bigint
  resolve: bigint
  access: number
  isCreated: boolean
  isUnresolved: boolean
  isUserMemory: boolean
  rung: number
}

export function openSeen(event: EvCall): OpenSeen {
  const { pathStart, path2Start, rawStart, raw2Start } = callRanges(event)
  const has = (flag: number) => (event.flags & flag) !== 0
  const [flags, mode, resolve] = [0, 1, 2].map((index) => event.facts(index))
  const result = Number(event.result)
  return {
    call: syscallName(event.nr, event.abi),
    result: Math.min(result, 0),
    hasFd: result >= 0 && event.fd === result,
    path: decodeText(event.bytes, pathStart, path2Start),
    raw: decodeText(event.bytes, rawStart, raw2Start),
    ...{ flags: flags ?? -1n, mode: mode ?? -1n, resolve: resolve ?? -1n, access: event.access },
    isCreated: has(CallFlag.CREATED),
    isUnresolved: has(CallFlag.PATH_UNRESOLVED),
    isUserMemory: has(CallFlag.USER_MEMORY),
    rung: event.rung,
  }
}

const AT_FDCWD = -100
const [O_WRONLY, O_RDWR, O_CREAT, O_TRUNC] = [1, 2, 0o100, 0o1000]
const [ENOENT, EXDEV, EINVAL] = [-2, -18, -22]
const RESOLVE_BENEATH = 8
const FILE = '/tmp/opened'
const CREATES = Access.WRITE | Access.CREATE

type Expected = Partial<Omit<OpenSeen, 'hasFd' | 'isUserMemory' | 'rung'>> & { call: string; raw: string }

const CALLS: readonly { args: readonly (string | number)[]; expected: Expected }[] = [
  {
    args: [AT_FDCWD, `s:${FILE}`, O_WRONLY | O_CREAT, 0o640],
    expected: { call: 'openat', raw: FILE, flags: 0o101n, mode: 0o640n, access: CREATES, isCreated: true },
  },
  {
    args: [AT_FDCWD, 's:/tmp/../tmp//opened', O_RDWR, 0],
    expected: { call: 'openat', raw: '/tmp/../tmp//opened', flags: 2n, access: Access.READ | Access.WRITE },
  },
  {
    args: [AT_FDCWD, 's:/tmp/none', 0, 0],
    expected: { call: 'openat', raw: '/tmp/none', path: '/tmp/none', result: ENOENT, isUnresolved: true },
  },
  {
    args: [AT_FDCWD, `s:${FILE}`, 'how:65:416:0', 24],
    expected: { call: 'openat2', raw: FILE, flags: 65n, mode: 416n, access: CREATES },
  },
  {
    args: [AT_FDCWD, `s:${FILE}`, `how:0:0:${RESOLVE_BENEATH}`, 24],
    expected: { call: 'openat2', raw: FILE, result: EXDEV, resolve: BigInt(RESOLVE_BENEATH), isUnresolved: true },
  },
  {
    args: [AT_FDCWD, `s:${FILE}`, 'how:0:1:0', 24], // a mode for nothing to make
    expected: { call: 'openat2', raw: FILE, result: EINVAL, mode: 1n, isUnresolved: true },
  },
  {
    args: [`s:${FILE}`, O_WRONLY | O_TRUNC, 0],
    expected: { call: 'open', raw: FILE, flags: BigInt(O_WRONLY | O_TRUNC), access: Access.WRITE },
  },
  {
    args: [`s:${FILE}`, 0o600],
    expected: { call: 'creat', raw: FILE, flags: 0o1101n, mode: 0o600n, access: CREATES },
  },
  {
    args: [AT_FDCWD, '@handle', O_RDWR],
    expected: { call: 'open_by_handle_at', raw: '', flags: 2n, access: Access.READ | Access.WRITE },
  },
  {
    args: [-1, '@handle', 0],
    expected: { call: 'open_by_handle_at', raw: '', path: '', result: -9 },
  },
].filter(({ expected }) => HOST_SYSCALLS.table(ABI_NATIVE).includes(expected.call))

const HANDLE = ['sys', syscallNumber('name_to_handle_at'), AT_FDCWD, `s:${FILE}`, '@handle', 'buf:8', 0]

/** For the program of test/support/acts/calls.c. A handle is of the file system that the working directory is on. */
export const OPEN_WORDS: readonly string[] = [
  'chdir',
  '/tmp',
  ...CALLS.flatMap(({ args, expected: { call } }) => [
    ...(call === 'open_by_handle_at' && args[0] === AT_FDCWD ? HANDLE : []),
    ...['sys', syscallNumber(call), ...args],
  ]),
].map(String)

/** `root`: of the process, in its mount namespace. */
export function openExpected(root: string, isByFunction: boolean): OpenSeen[] {
  return CALLS.map(({ expected }) => {
    const { call, result = 0, path = FILE, ...rest } = expected
    return {
      ...{ call, result, hasFd: result === 0, path: path === '' ? '' : `${root}${path}` },
      ...{ flags: 0n, mode: 0n, resolve: 0n, access: Access.READ, isCreated: false, isUnresolved: false },
      isUserMemory: call === 'openat2' && !isByFunction,
      rung: isByFunction ? Rung.FUNCTION : Rung.TRACEPOINT,
      ...rest,
    }
  })
}
