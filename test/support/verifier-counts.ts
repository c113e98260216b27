/**
 * bpf/verifier-counts.txt against a real load. The rule: the file names exactly the programs that are loaded, and none walks more
 * than 1.5 times its recorded count of this run's column (exact numbers differ with the kernel's build) nor half of the limit.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findPackageRoot } from '../../src/telemetry/package-root.js'

const GROWTH_MAX = 1.5
/** BPF_COMPLEXITY_LIMIT_INSNS, linux/bpf.h: 1,000,000 for a privileged loader. */
const VERIFIED_MAX = 500_000

/** What is wrong, one line each. */
export function verifierFaults(column: string, counted: Readonly<Record<string, number>>): string[] {
  const lines = readFileSync(join(findPackageRoot(), 'bpf/verifier-counts.txt'), 'utf8').trim().split('\n')
  const rows = lines.map((line) => line.trim().split(/ {2,}/))
  const head = rows.find(([first]) => first === '# program') ?? []
  const at = head.indexOf(column.replaceAll(', ', '/').replaceAll(' ', '-'))
  if (at === -1) return [`no column for ${column}`]
  const known = new Map(
    rows.filter(([first]) => first?.startsWith('#') === false).map((row) => [row[0] ?? '', row[at] ?? '-']),
  )
  const faults: string[] = []
  for (const [program, count] of Object.entries(counted)) {
    const recorded = known.get(program)
    if (recorded === undefined) faults.push(`${program} is not in bpf/verifier-counts.txt`)
    else if (recorded !== '-' && count > Number(recorded) * GROWTH_MAX)
      faults.push(`${program} walks ${count} instructions, recorded are ${recorded}`)
    if (count > VERIFIED_MAX) faults.push(`${program} walks ${count} instructions, at most ${VERIFIED_MAX} are wanted`)
    if (count === 0) faults.push(`${program} has no count`)
  }
  for (const [program, recorded] of known)
    if (recorded !== '-' && !(program in counted)) faults.push(`${program} is recorded and was not loaded`)
  return faults
}
