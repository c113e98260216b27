/** What the kernel and libbpf said about a program, as one of the project's errors. */
import { existsSync, readFileSync } from 'node:fs'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { isNativeError } from './addon.js'

const KERNEL_BTF = '/sys/kernel/btf/vmlinux'
const PROBE_REFUSED = /probe_loading\(\):Operation not permitted/
const EPERM = 1
const EACCES = 13

/** How the kernel refuses what it does not know. Looked for in what it said, so a kernel with the thing added is not refused. */
const LACKS = [
  { said: /map 'tasks': failed to create/, what: 'storage of BPF programs at tasks (in Linux since 5.11)' },
  { said: /unknown func bpf_loop|invalid func unknown#181/, what: 'bpf_loop (in Linux since 5.17)' },
]

function isLockedDown(): boolean {
  try {
    return readFileSync('/sys/kernel/security/lockdown', 'utf8').includes('[confidentiality]')
  } catch {
    return false // no such file: the kernel has no lockdown, or securityfs is not mounted
  }
}

export function explainLoadError(what: string, error: unknown): HullguardError {
  if (!isNativeError(error))
    return new HullguardError('probe_load_failed', `cannot ${what}: ${messageOf(error)}`, { cause: error })
  const prefix = `cannot ${what}: `
  const reason = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message
  if (isLockedDown())
    return new HullguardError(
      'kernel_locked_down',
      `cannot ${what}: /sys/kernel/security/lockdown is at confidentiality, so no BPF program may read kernel memory`,
      { cause: error },
    )
  const lacking = LACKS.find(({ said }) => said.test(error.log))
  if (lacking !== undefined)
    return new HullguardError('kernel_lacks', `cannot ${what}: this kernel has no ${lacking.what}`, { cause: error })
  if (!hasKernelBtf()) return new HullguardError('no_btf', `${prefix}there is no ${KERNEL_BTF}`, { cause: error })
  // libbpf's words about its own first try are of limits that are not in the way
  const isRefusedWhole = PROBE_REFUSED.test(error.log)
  const refused = verifiersReason(error.log)
  const detail = isRefusedWhole ? '' : [refused, ...error.log.trim().split('\n').slice(-3)].filter(Boolean).join(' / ')
  const message = `${prefix}${reason}${detail === '' ? '' : ` (${detail})`}`
  if (refused === undefined && (error.errno === EPERM || error.errno === EACCES))
    return new HullguardError('not_permitted', message, { cause: error })
  return new HullguardError('probe_load_failed', message, { cause: error })
}

/** What the verifier does not accept: its last words before its sum. */
export function verifiersReason(log: string): string | undefined {
  const lines = log.split('\n')
  const end = lines.findIndex((line) => line.startsWith('processed '))
  return (end < 1 ? '' : lines[end - 1]?.trim()) || undefined
}

export function hasKernelBtf(): boolean {
  return existsSync(KERNEL_BTF)
}
