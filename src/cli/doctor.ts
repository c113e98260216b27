/** hullguard doctor: what this host lets the agent see and stop, and what is missing. */
import { sensorHierarchy } from '../agent/sensor-hierarchy.js'
import { findHierarchy } from '../container/cgroup-fs.js'
import { type EventReport, type HostReport, reportHost } from '../sensor/capability.js'
import type { CommandSpec } from './command.js'
import { alignColumns } from './table.js'

const EXIT_FOUND = 1

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
  const rows = report.events.map((event) => [event.event, event.rung || 'NONE', can(event), event.cost, event.note])
  const table = rows.length === 0 ? '' : `\n${alignColumns([['EVENT', 'HOOK', 'CAN', 'COST', 'NOTE'], ...rows])}`
  const fault = report.fault === '' ? '' : `\nnothing can be watched here: ${report.fault}\n`
  return `${alignColumns(facts)}${fault}${table}\nblind spots:\n${report.blindSpots.map((spot) => `  ${spot}\n`).join('')}`
}

function can({ deny, kill }: EventReport): string {
  if (deny) return kill ? 'deny, kill' : 'deny'
  return kill ? 'kill' : 'observe only'
}
