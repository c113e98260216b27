/** hullguard doctor: what this host lets the agent see and stop, and what is missing. */
import { sensorHierarchy } from '../agent/sensor-hierarchy.js'
import { findHierarchy } from '../container/cgroup-fs.js'
import { type EventReport, type HostReport, reportHost } from '../sensor/capability.js'
import type { CommandSpec } from './command.js'
import { alignColumns } from './table.js'

const EXIT_FOUND = 1
const WIDTH_MAX_CHARS = 100

export const doctorCommand: CommandSpec = {
  name: 'doctor',
  summary: 'what this host lets hullguard see and stop',
  options: ['cgroup-root', 'host-root', 'json', 'config'],
  async run(settings) {
    const hierarchy = findHierarchy({ cgroupRoot: settings.text('cgroup-root'), hostRoot: settings.text('host-root') })
    const report = reportHost(sensorHierarchy(hierarchy))
    const isHealthy = report.fault === '' && report.events.every(({ rung }) => rung !== '')
    process.stdout.write(
      settings.flag('json') ? `${JSON.stringify(toJson(report, hierarchy.kind))}\n` : toText(report, hierarchy.kind),
    )
    return isHealthy ? 0 : EXIT_FOUND
  },
}

function toJson(report: HostReport, cgroup: string): object {
  return {
    kernel: report.kernel,
    btf: report.btf,
    cgroup,
    lsm: report.lsm,
    lockdown: report.lockdown,
    capabilities: { missing: report.missingCapabilities },
    fault: report.fault,
    events: report.events,
    blind_spots: report.blindSpots,
  }
}

function toText(report: HostReport, cgroup: string): string {
  const facts = [
    ['kernel', report.kernel],
    ['BTF', report.btf ? 'yes' : 'no (/sys/kernel/btf/vmlinux is missing)'],
    ['cgroup', cgroup],
    ['LSM', report.lsm.join(', ') || 'unknown (securityfs is not mounted)'],
    ['lockdown', report.lockdown],
    ['capabilities missing', report.missingCapabilities.join(', ') || 'none'],
  ]
  const table = report.events.length === 0 ? '' : `\n${toTable(report.events)}`
  const fault = report.fault === '' ? '' : `\n${wrap(`nothing can be watched here: ${report.fault}`, '')}`
  return `${alignColumns(facts)}${fault}${table}\nblind spots:\n${report.blindSpots.map((spot) => wrap(spot, '  ')).join('')}`
}

/** A row per hook, the decision's before the result's; what is said of several events stands once, below. */
function toTable(events: readonly EventReport[]): string {
  const notes: string[] = []
  const numberOf = (note: string): string => {
    if (note === '') return ''
    if (!notes.includes(note)) notes.push(note)
    return `[${notes.indexOf(note) + 1}]`
  }
  const rows = events.flatMap((event) => {
    const [first = 'NONE', ...others] = event.rung.split(' + ').filter(Boolean)
    const numbers = event.note.split('; ').map(numberOf).join('')
    return [[event.event, first, can(event), event.cost, numbers], ...others.map((hook) => ['', hook])]
  })
  const footnotes = notes.map((note, index) => wrap(`[${index + 1}] ${note}`, '  ')).join('')
  const table = alignColumns([['EVENT', 'HOOK', 'CAN', 'COST', 'NOTE'], ...rows])
  return notes.length === 0 ? table : `${table}\n${footnotes}`
}

/** Lines of at most a terminal's usual width, at blanks. */
function wrap(text: string, indent: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > WIDTH_MAX_CHARS) {
      lines.push(line)
      line = `  ${word}`
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((one) => `${indent}${one}\n`).join('')
}

function can({ deny, kill }: EventReport): string {
  if (deny) return kill ? 'deny, kill' : 'deny'
  return kill ? 'kill' : 'observe only'
}
