/** Names and numbers of capabilities(7), as in linux/capability.h: the number is the place. */
const NAMES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
] as const

export const CAPABILITY_NAMES: readonly string[] = NAMES.map((name) => `CAP_${name}`)
/** Sets of capabilities are 64 bits wide; later kernels may add some. */
export const CAPABILITIES_MAX = 64

/** `CAP_SYS_ADMIN`, `SYS_ADMIN` or `sys_admin`; undefined: there is none of that name. */
export function capabilityNumber(name: string): number | undefined {
  const upper = name.toUpperCase()
  const at = CAPABILITY_NAMES.indexOf(upper.startsWith('CAP_') ? upper : `CAP_${upper}`)
  return at === -1 ? undefined : at
}

export function capabilityName(number: number): string {
  return CAPABILITY_NAMES[number] ?? `CAP_${number}`
}
