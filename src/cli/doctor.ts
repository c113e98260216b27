/** hullguard doctor: what this host lets the agent see and stop, and what is missing. */
import { sensorHierarchy } from '../agent/host/sensor-hierarchy.js'
import { findHierarchy } from '../container/cgroup-fs.js'
import { type EventReport, eventJson, type HostReport, reportHost } from '../sensor/capability.js'
import { type CostClass, RUNGS } from '../sensor/rungs.js'
import type { CommandSpec } from './command.js'
import { alignColumns } from './table.js'

const EXIT_FOUND = 1
const WIDTH_MAX_CHARS = 100
/** A terminal of 80 columns has room for the table as long as its columns are no wider than these words. */
const COSTS: Readonly<Record<CostClass, string>> = {
  'none when unwatched': 'none',
  'one lookup': 'lookup',
  'every syscall': 'call',
  'every request of a ring': 'ring',
  'every packet': 'packet',
}
const LEGEND =
  'COST: what a process pays that nobody watches: none; one lookup when it does that; something at each of its system calls, of its packets, or of the requests of its io_urings'
const NO_SECURITYFS = 'unknown (mount securityfs on /sys/kernel/security to see)'
const CGROUPS: Readonly<Record<string, string>> = {
  v2: 'v2',
  hybrid: 'hybrid: v2 tells containers apart, v1 has the controllers',
  v1: 'v1: connects are not seen without a unified hierarchy',
}

export const doctorCommand: CommandSpec = {
  name: 'doctor',
  summary: 'what this host lets hullguard see and stop',
  options: ['cgroup-root', 'host-root', 'json', 'config'],
  async run(settings) {
    const hierarchy = findHierarchy({ cgroupRoot: settings.text('cgroup-root'), hostRoot: settings.text('host-root') })
    const report = reportHost(sensorHierarchy(hierarchy))
    const isHealthy = report.fault === '' && report.events.every(({ event, rung }) => rung !== '' || isExtra(event))
    process.stdout.write(
      settings.flag('json') ? `${JSON.stringify(toJson(report, hierarchy.kind))}\n` : toText(report, hierarchy.kind),
    )
    return isHealthy ? 0 : EXIT_FOUND
  },
}

/** A row of hooks that only refuse: the act itself is seen by another row's. */
function isExtra(event: string): boolean {
  const rows = RUNGS.filter((rung) => rung.event === event)
  return rows.every(({ isOptional }) => isOptional) && rows.some(({ role }) => role === 'decision')
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
    advice: report.advice,
    events: report.events.map(eventJson),
    blind_spots: report.blindSpots,
  }
}

function toText(report: HostReport, cgroup: string): string {
  const width = Math.min(process.stdout.columns ?? WIDTH_MAX_CHARS, WIDTH_MAX_CHARS)
  const facts = [
    ['kernel', report.kernel],
    ['BTF', report.btf ? 'yes' : 'no (/sys/kernel/btf/vmlinux is missing)'],
    ['cgroup', CGROUPS[cgroup] ?? cgroup],
    ['LSM', report.lsm.join(', ') || NO_SECURITYFS],
    ['lockdown', report.lockdown === 'unknown' ? NO_SECURITYFS : report.lockdown],
    ['capabilities missing', report.missingCapabilities.join(', ') || 'none'],
  ]
  const { fault, advice } = report
  if (fault !== '') {
    const what = [`nothing can be watched here: ${fault}`, advice].filter(Boolean)
    return `${alignColumns(facts)}\n${what.map((text) => wrap(text, '', width)).join('')}`
  }
  const spots = report.blindSpots.map((spot) => wrap(spot, '  ', width)).join('')
  const notes = notesOf(report.events)
  return [
    alignColumns(facts),
    `${toTable(report.events, notes)}\n${toFootnotes(notes, width)}`,
    `blind spots:\n${spots}`,
    // at the end, where a screen without room for all of it stands still
    `in short:\n${inShort(report.events)
      .map((line) => wrap(line, '  ', width))
      .join('')}`,
  ].join('\n')
}

/** What is said of several events stands once, with the hooks that are missing for one reason; each event has the numbers. */
interface Notes {
  texts: readonly string[]
  numbersOf(event: EventReport): string
}

function notesOf(events: readonly EventReport[]): Notes {
  const notes = [...new Set(events.flatMap((event) => event.notes))]
  const missing = events.flatMap((event) => event.missing)
  const reasons = [...new Set(missing.map(({ reason }) => reason))]
  const refused = reasons.map((reason) => {
    const hooks = missing.flatMap((one) => (one.reason === reason ? one.hooks : []))
    return `not to be had here (${reason}): ${[...new Set(hooks)].join(', ')}`
  })
  return {
    texts: [...notes, ...refused],
    numbersOf: (event) =>
      [
        ...event.notes.map((note) => notes.indexOf(note)),
        ...event.missing.map(({ reason }) => notes.length + reasons.indexOf(reason)),
      ]
        .map((index) => index + 1)
        .join(','),
  }
}

/** A row per hook, the decision's before the result's. An event without one has no row: it is named in short. */
function toTable(events: readonly EventReport[], notes: Notes): string {
  const rows = events.flatMap((event) => {
    const [first, ...rest] = event.rung.split(' + ').filter(Boolean)
    if (first === undefined) return []
    const family = first.slice(0, first.indexOf('/') + 1)
    // those of the first one's family without it
    const others = rest.map((hook) => (hook.startsWith(family) ? `  ${hook.slice(family.length)}` : hook))
    const said = [event.event, first, canWord(event), COSTS[event.cost], notes.numbersOf(event)]
    return [said, ...others.map((hook) => ['', hook])]
  })
  return alignColumns([['EVENT', 'HOOK', 'CAN', 'COST', 'SEE'], ...rows])
}

function toFootnotes({ texts }: Notes, width: number): string {
  const numbered = texts.map((text, index) => `${index + 1} ${text}`)
  return [LEGEND, ...numbered].map((text) => wrap(text, '  ', width)).join('')
}

/** What is done to whom: by what canWord() says of the event. */
const CAN_SHORT: Readonly<Record<string, string>> = {
  'deny, kill': 'can refuse, or end the process',
  deny: 'can refuse',
  kill: 'can end the process',
  observe: 'can see, not stop',
}

function inShort(events: readonly EventReport[]): string[] {
  const hasHook = ({ rung }: EventReport) => rung !== ''
  const can = Object.entries(CAN_SHORT).map(([word, title]) => ({
    title,
    these: events.filter((event) => hasHook(event) && canWord(event) === word),
  }))
  const cannot = events.filter((event) => !hasHook(event))
  const reasons = [...new Set(cannot.flatMap(({ missing }) => missing.map(({ reason }) => reason)))].join('; ')
  return [
    ...can,
    { title: `cannot refuse here (${reasons})`, these: cannot.filter(({ event }) => isExtra(event)) },
    { title: `cannot see here (${reasons})`, these: cannot.filter(({ event }) => !isExtra(event)) },
  ].flatMap(({ title, these }) => (these.length === 0 ? [] : [`${title}: ${these.map(shortName).join('; ')}`]))
}

/** Where it stands says already that it is about refusing. */
function shortName({ event }: EventReport): string {
  return event.replace(' (refuse)', '').replace('(refuse ', '(')
}

/** Lines of at most this width, broken at blanks. */
function wrap(text: string, indent: string, width: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(line)
      line = `  ${word}`
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((one) => `${indent}${one}\n`).join('')
}

function canWord({ deny, kill }: EventReport): string {
  if (deny) return kill ? 'deny, kill' : 'deny'
  return kill ? 'kill' : 'observe'
}
