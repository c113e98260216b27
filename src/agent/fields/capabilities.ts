/** Names of capabilities, by their bits (include/uapi/linux/capability.h). */
import type { InternedText } from '../../match/conditions/values.js'
import { TEXTS } from './texts.js'

const NAMES =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'.split(
    ' ',
  )
/** Sets that are met on a host are few. */
const KEPT_MAX_COUNT = 256

const texts = new Map<bigint, InternedText>()

export function capabilityNames(set: bigint): string[] {
  return NAMES.flatMap((name, bit) => ((set >> BigInt(bit)) & 1n ? [`CAP_${name}`] : []))
}

/** Joined by blanks; empty for none. */
export function capabilitiesText(set: bigint): InternedText {
  const known = texts.get(set)
  if (known !== undefined) return known
  if (texts.size === KEPT_MAX_COUNT) texts.clear()
  const text = TEXTS.ofString(capabilityNames(set).join(' '))
  texts.set(set, text)
  return text
}
