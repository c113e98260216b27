// The targets, what was measured, and whether that meets them. A figure with a 95 % interval that has the target in it is undecided.
import {
  change,
  count,
  countOf,
  from,
  mebibytes,
  NOT_RECORDED,
  number,
  table,
  time,
  times,
  withUnit,
} from './format.mjs'
import { paramsOf } from './results.mjs'
import { forkRounds } from './sections.mjs'

/**
 * 'met', 'missed', 'undecided' or 'not recorded'. `atMost`, `below` or `atLeast` is the target; `low` and `high` enclose the value
 * with 95 %, where that is known.
 */
export function judge({ value, low = value, high = value, atMost, below, atLeast }) {
  if (value === undefined || low === undefined || high === undefined) return NOT_RECORDED
  const holds = (one) => {
    if (atMost !== undefined) return one <= atMost
    return below !== undefined ? one < below : one >= atLeast
  }
  if (holds(low) && holds(high)) return 'met'
  return holds(low) || holds(high) ? 'undecided' : 'missed'
}

const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.floor(sorted.length / 2)]) / 2
}

/** Of figures in the hundreds: 500.4 is more than 500. */
const oneDecimal = (unit) => (value) => (value === undefined ? NOT_RECORDED : `${value.toFixed(1)} ${unit}`)

/** One target: how it is written, the figure it is about, and how that is written. */
const target = (what, wanted, limit, value, write) => ({ what, wanted, measured: write(value), ...limit, value })

/** A target for the ratio of a time with the agent to one without it, with its interval. */
function ratioTarget(what, percent, overhead, subject, param) {
  const [value, low, high] = ['ratio', 'ratio_low95', 'ratio_high95'].map((name) =>
    overhead.value(subject, param, name),
  )
  const isComplete = low !== undefined && high !== undefined
  const measured = isComplete ? `${change(value)} (${change(low)} … ${change(high)})` : NOT_RECORDED
  return { what, wanted: `≤ +${percent} %`, measured, atMost: 1 + percent / 100, value, low, high }
}

const SETS = [
  { what: 'conditions', suffix: '', closures: 'closures' },
  { what: 'native policies', suffix: ',set=native', closures: 'linear' },
]

function matcherTargets(matcher) {
  return SETS.flatMap(({ what, suffix, closures }) => {
    const own = (rules, metric) => matcher.value('hullguard', `rules=${rules}${suffix}`, metric)
    const perEvent = own(1_000, 'ns_per_event')
    const growth = from([own(100, 'ns_per_event'), own(10_000, 'ns_per_event')], (small, large) => large / small)
    const rival = matcher.value(closures, `rules=1000${suffix}`, 'ns_per_event')
    const gain = from([perEvent, rival], (ours, theirs) => theirs / ours)
    const compileMs = own(10_000, 'compile_ms')
    const compileNs = from([compileMs], (ms) => ms * 1e6)
    const heap = own(10_000, 'heap_bytes')
    return [
      target(`${what}, 1,000 rules`, '≤ 500 ns an event', { atMost: 500 }, perEvent, oneDecimal('ns')),
      target(`${what}, growth from 100 to 10,000 rules`, '≤ 2×', { atMost: 2 }, growth, times),
      target(`${what}, against closures by event type, 1,000 rules`, '≥ 80×', { atLeast: 80 }, gain, times),
      target(`${what}, 10,000 rules, compile time`, '≤ 2 s', { atMost: 2e9 }, compileNs, time),
      target(`${what}, 10,000 rules, heap and typed arrays`, '≤ 64 MiB', { atMost: 64 * 2 ** 20 }, heap, mebibytes),
      allocationTarget(what, own(10_000, 'bytes_allocated_per_event')),
    ]
  })
}

/** Growth of a heap is known to whole bytes only. */
function allocationTarget(what, bytes) {
  const whole = from([bytes], Math.round)
  const name = `${what}, 10,000 rules, allocated an event without a hit`
  return target(name, '0 bytes', { atMost: 0 }, whole, countOf('bytes'))
}

function overheadTargets(overhead) {
  const at = (what, percent, subject, op, config) =>
    ratioTarget(what, percent, overhead, subject, `op=${op},config=${config}`)
  return [
    at('fork+exec, unwatched, no policy', 3, 'unwatched', 'fork_exec', 'no-policy'),
    at('fork+exec, watched, no policy', 3, 'watched', 'fork_exec', 'no-policy'),
    at('fork+exec, unwatched, standard set', 3, 'unwatched', 'fork_exec', 'standard'),
    at('fork+exec, watched, standard set', 3, 'watched', 'fork_exec', 'standard'),
    at('open+close, unwatched, standard set', 12, 'unwatched', 'open_close', 'standard'),
    at("open+close, unwatched, Falco's file", 12, 'unwatched', 'open_close', 'falco'),
    at('open+close, watched, standard set, no rule names the file', 22, 'watched', 'open_close', 'standard'),
  ]
}

const FLOOD_PAIRS = 200_000

function saturationTargets(saturation) {
  const of = (subject, metric) => saturation.value(subject, saturation.first(subject)?.param, metric)
  const one = saturation.first('no agent')
  const pairs = from([one?.samples, paramsOf(one).loops], (each, loops) => each * Number(loops))
  const flood = (subject) => ['alerted', 'sensitive_opens', 'events_lost'].map((metric) => of(subject, metric))
  const text = (...[alerted, sensitive, lost]) => `${count(alerted)} of ${count(sensitive)}, ${count(lost)} events lost`
  const filtered = from(flood('filtered'), (alerted, sensitive, lost) => (alerted === sensitive && lost === 0 ? 1 : 0))
  // The case itself asserts that alerts and losses add up: without that it writes no row.
  const counted = from(flood('unfiltered'), () => 1)
  const ratio = from([of('no agent', 'pair'), of('filtered', 'pair')], (without, withAgent) => withAgent / without)
  const cpu = (subject) => {
    const seconds = of(subject, 'agent_cpu')
    const handled = from([pairs, of(subject, 'events_lost')], (all, lost) => all - lost)
    const value = from([seconds, handled], (s, events) => (s * FLOOD_PAIRS) / events)
    const write = (scaled) =>
      scaled === undefined ? NOT_RECORDED : `${number(scaled)} s (${number(seconds)} s for ${count(handled)})`
    return { value, write }
  }
  const [lowered, inUserSpace] = [cpu('filtered'), cpu('unfiltered')]
  return [
    {
      what: 'saturation, rule that the kernel filters',
      wanted: 'every sensitive open alerted, 0 lost',
      measured: from(flood('filtered'), text) ?? NOT_RECORDED,
      atLeast: 1,
      value: filtered,
    },
    {
      what: 'saturation, rule that it cannot filter',
      wanted: 'what is lost is counted exactly',
      measured: from(flood('unfiltered'), (...all) => `${text(...all)}, counted`) ?? NOT_RECORDED,
      atLeast: 1,
      value: counted,
    },
    target('saturation, open+close, watched, path walked', '≤ +40 %', { atMost: 1.4 }, ratio, change),
    target('agent CPU, 200,000 open+close, filtered', '≤ 0.05 s', { atMost: 0.05 }, lowered.value, lowered.write),
    target(
      'agent CPU, 200,000 open+close, unfiltered',
      '≤ 0.5 s',
      { atMost: 0.5 },
      inUserSpace.value,
      inUserSpace.write,
    ),
  ]
}

function killTargets(kill) {
  return [
    ['the kernel', 'kernel', 1],
    ['user space', 'user space', 10],
  ].flatMap(([who, subject, limitMs]) =>
    ['idle', 'all cores busy'].map((load) => {
      const p99Ns = (killer, clock) =>
        from([kill.value(killer, `act=exec,load=${load},clock=${clock}`, 'p99')], (us) => us * 1e3)
      const write = (ns) =>
        ns === undefined
          ? time(ns)
          : `${time(ns)} (to waitpid: ${time(p99Ns(subject, 'waitpid'))}; nobody kills: ${time(p99Ns('none', 'waitpid'))})`
      const endNs = p99Ns(subject, 'kernel')
      return target(`kill from ${who}, ${load}`, `p99 < ${limitMs} ms`, { below: limitMs * 1e6 }, endNs, write)
    }),
  )
}

function deliveryTargets(delivery) {
  const of = (metric) => delivery.value('hullguard', delivery.first('hullguard')?.param, metric)
  const [perSecond, lost, doubled] = ['records_per_s', 'lost', 'doubled'].map(of)
  const isWhole = lost === 0 && doubled === 0
  return [
    {
      what: 'agent to store, acknowledged',
      wanted: '≥ 100,000 records/s, 0 lost, 0 doubled',
      measured:
        from([perSecond, lost, doubled], (...all) => {
          const [rate, missing, twice] = all.map(count)
          return `${rate} records/s, ${missing} lost, ${twice} doubled`
        }) ?? NOT_RECORDED,
      atLeast: 100_000,
      value: from([perSecond, lost, doubled], (rate) => (isWhole ? rate : 0)),
    },
    target('bytes a record, on the wire', '≤ 60', { atMost: 60 }, of('bytes_per_record_wire'), number),
    target('bytes a record, in the store', '≤ 120', { atMost: 120 }, of('bytes_per_record_store'), number),
  ]
}

function memoryTargets(memory) {
  const resident = (load) => memory.value('agent', `load=${load}`, 'rss_without_ring')
  const kernel = ['bpf_ring', 'bpf_maps_without_ring', 'bpf_programs'].map((name) =>
    memory.value('kernel', 'load=any', name),
  )
  const all = from(kernel, (ring, maps, programs) => ring + maps + programs)
  const mib = withUnit('MiB')
  return [
    target('agent memory, idle, ring apart', '≤ 75 MiB', { atMost: 75 }, resident('idle'), mib),
    target('agent memory, under load, ring apart', '≤ 120 MiB', { atMost: 120 }, resident('forks and connects'), mib),
    target('ring, BPF maps and programs', '≤ 16 MiB', { atMost: 16 }, all, mib),
    target('agent CPU, idle', '≤ 0.3 %', { atMost: 0.3 }, memory.value('agent', 'load=idle', 'cpu'), withUnit('%')),
    target(
      'agent CPU, 2,000 forks, median of four times after the load',
      '≤ 0.12 s',
      { atMost: 0.12 },
      from(forkRounds(memory, 'working'), (...rounds) => median(rounds)),
      (value) =>
        `${withUnit('s')(value)} (${withUnit('s')(forkRounds(memory, 'started')[0])} the first time after the start)`,
    ),
  ]
}

export function allTargets(results) {
  const pipeline = results.of('pipeline')
  const perEventUs = pipeline.value('hullguard', 'rules=1000,delivery=collector', 'cpu_per_event')
  return [
    ...matcherTargets(results.of('matcher')),
    target(
      'agent CPU per event, 1,000 rules, pre-filled ring, delivered',
      '≤ 2 µs',
      { atMost: 2 },
      perEventUs,
      withUnit('µs'),
    ),
    ...overheadTargets(results.of('overhead')),
    ...saturationTargets(results.of('saturation')),
    ...killTargets(results.of('kill')),
    ...deliveryTargets(results.of('delivery')),
    ...memoryTargets(results.of('memory')),
    target(
      'from start to watching, 20 containers',
      '≤ 2 s',
      { atMost: 2 },
      results.of('start').value('hullguard', 'containers=20,rules=standard', 'watching'),
      withUnit('s'),
    ),
  ].map((one) => ({ ...one, judgement: judge(one) }))
}

export function targetTable(targets) {
  const rows = targets.map(({ what, wanted, measured, judgement }) => [
    what,
    wanted,
    measured,
    // "not recorded" stands in the column before
    judgement === 'missed' ? '**missed**' : judgement === NOT_RECORDED ? '' : judgement,
  ])
  return table([['what', 'target', 'measured', ''], ...rows])
}

export function targetCount(targets) {
  const of = (judgement) => targets.filter((one) => one.judgement === judgement).length
  const [met, missed, undecided, absent] = ['met', 'missed', 'undecided', NOT_RECORDED].map(of)
  return `${met} of ${targets.length} met, ${missed} missed, ${undecided} undecided, ${absent} not recorded.`
}
