// The tables of the page, one function a case: what the rows of its result say, nothing else.
import { change, count, from, mebibytes, NOT_RECORDED, number, row, table, time, withUnit } from './format.mjs'
import { paramsOf } from './results.mjs'

const SIZES = [10, 100, 1_000, 10_000, 100_000]
const us = (value) => time(from([value], (one) => one * 1e3))
const ms = (value) => time(from([value], (one) => one * 1e6))
/** ns an event: the columns of one table are in one unit. */
const ns = (value) => (value !== undefined && value < 10 ? number(value) : count(value))
const inMilliseconds = (value) => from([value], (one) => `${(one / 1e3).toFixed(2)} ms`) ?? NOT_RECORDED

/** Columns [title, subject, suffix of the param] over all sizes. */
function perEvent(matcher, columns) {
  const rows = SIZES.map((size) =>
    row(
      [count(size)],
      columns.map(([, subject, suffix]) => ns(matcher.value(subject, `rules=${size}${suffix}`, 'ns_per_event'))),
    ),
  )
  return table([['rules', ...columns.map(([title]) => title)], ...rows])
}

function compiled(matcher, sets) {
  const rows = sets.map(([title, size, suffix]) => {
    const of = (metric) => matcher.value('hullguard', `rules=${size}${suffix}`, metric)
    return row(
      [title, count(size)],
      [
        ms(of('compile_ms')),
        mebibytes(of('program_bytes')),
        mebibytes(of('heap_bytes')),
        count(of('bytes_allocated_per_event')),
        from([of('hits_per_event')], (hits) => String(hits)) ?? NOT_RECORDED,
      ],
    )
  })
  const head = ['set', 'rules', 'compile time', 'typed arrays', 'heap and typed arrays', 'bytes allocated', 'hits']
  return table([head, ...rows])
}

function conditions(matcher) {
  return perEvent(matcher, [
    ['hullguard', 'hullguard', ''],
    ['closures', 'closures', ''],
    ['json-rules-engine', 'json-rules-engine', ''],
    ['cel-js', 'cel-js', ''],
  ])
}

function worstConditions(matcher) {
  return perEvent(matcher, [
    ['hullguard, hostile', 'hullguard', ',set=hostile'],
    ['closures, hostile', 'closures', ',set=hostile'],
    ['hullguard, negated', 'hullguard', ',set=negated'],
    ['closures, negated', 'closures', ',set=negated'],
  ])
}

function native(matcher) {
  return perEvent(matcher, [
    ['hullguard', 'hullguard', ',set=native'],
    ['closures', 'linear', ',set=native'],
    ['json-rules-engine', 'json-rules-engine', ',set=native'],
    ['hullguard, hostile', 'hullguard', ',set=native-hostile'],
    ['closures, hostile', 'linear', ',set=native-hostile'],
  ])
}

/** How many rules Falco's file has is the file's. */
function falcoSize(matcher) {
  const found = matcher.rows.find((one) => paramsOf(one).set === 'falco-stable')
  return found === undefined ? undefined : Number(paramsOf(found).rules)
}

function compiledSets(matcher) {
  const sets = [
    ['generated', ''],
    ['hostile', ',set=hostile'],
    ['negated', ',set=negated'],
    ['native', ',set=native'],
    ['native, hostile', ',set=native-hostile'],
  ].flatMap(([title, suffix]) => SIZES.slice(-2).map((size) => [title, size, suffix]))
  return compiled(matcher, [...sets, ["Falco's stable file", falcoSize(matcher), ',set=falco-stable']])
}

function falco(matcher) {
  const size = falcoSize(matcher)
  const found = matcher.value('hullguard', `rules=${size},set=falco-stable`, 'ns_per_event')
  return found === undefined ? NOT_RECORDED : `${ns(found)} ns an event with its ${count(size)} rules`
}

function violated(matcher) {
  const rows = [100, 10_000].map((size) =>
    row([count(size)], [number(matcher.value('hullguard', `rules=${size},set=native-violated`, 'ns_per_hit'))]),
  )
  return table([['rules', 'ns a rule that is reported'], ...rows])
}

function delivery(figures) {
  const first = figures.first('hullguard')
  const of = (metric) => figures.value('hullguard', first?.param, metric)
  return table([
    ['records', 'records/s', 'lost', 'doubled', 'bytes a record, on the wire', 'bytes a record, in the store'],
    [
      count(from([paramsOf(first).records], Number)),
      ...['records_per_s', 'lost', 'doubled'].map((metric) => count(of(metric))),
      ...['bytes_per_record_wire', 'bytes_per_record_store'].map((metric) => number(of(metric))),
    ],
  ])
}

function pipeline(figures) {
  const rows = [0, 1_000].flatMap((rules) =>
    ['collector', 'spool'].map((to) => {
      const of = (metric) => us(figures.value('hullguard', `rules=${rules},delivery=${to}`, metric))
      const metrics = ['cpu_per_event', 'main_thread_per_event', 'other_threads_per_event']
      return row([count(rules), to], metrics.map(of))
    }),
  )
  return table([['rules', 'delivery', 'CPU an event', 'main thread', 'other threads'], ...rows])
}

/** Values of one name in the params of rows, each once, in their order. */
const namesOf = (rows, name) => [...new Set(rows.map((one) => paramsOf(one)[name]))].filter((one) => one !== undefined)

function cost(figures) {
  const acts = namesOf(figures.rows, 'act')
  const rows = acts.flatMap((act) => {
    const ofAct = figures.rows.filter((one) => paramsOf(one).act === act)
    return namesOf(ofAct, 'program').map((program) => {
      const of = (subject, rules) =>
        count(figures.value(subject, `act=${act},rules=${rules},program=${program}`, 'run_time'))
      const cells = ['kept', 'reported'].flatMap((rules) => [of('unwatched', rules), of('watched', rules)])
      return row([act.replaceAll('_', ' '), `\`${program}\``], cells)
    })
  })
  const columns = ['kept', 'reported'].flatMap((rules) => [`unwatched, ${rules}`, `watched, ${rules}`])
  return table([['act', 'program', ...columns], ...rows])
}

const CONFIGS = ['empty-hook', 'no-policy', 'standard', '1000-rules', 'falco', 'activity-syscall']

function overhead(figures) {
  const recorded = namesOf(figures.rows, 'config')
  const configs = [...new Set([...CONFIGS, ...recorded])]
  const rows = configs.flatMap((config) => {
    const ops = namesOf(
      figures.rows.filter((one) => paramsOf(one).config === config),
      'op',
    )
    if (ops.length === 0) return [[config, NOT_RECORDED, '', '', '', '', '']]
    return ops.flatMap((op) =>
      ['unwatched', 'watched'].map((subject) => {
        const of = (metric) => figures.value(subject, `op=${op},config=${config}`, metric)
        const interval = from(
          [of('ratio_low95'), of('ratio_high95')],
          (low, high) => `${change(low)} … ${change(high)}`,
        )
        const cells = [time(of('without_agent')), time(of('with_agent')), change(of('ratio')), interval ?? NOT_RECORDED]
        return row([config, op.replaceAll('_', ' '), subject], cells)
      }),
    )
  })
  return table([['configuration', 'loop', 'process', 'without', 'with', 'median', '95 % interval'], ...rows])
}

const KILLERS = [
  ['nobody', 'none', ['exec', 'call', 'open']],
  ['the kernel', 'kernel', ['exec', 'call']],
  ['user space (pidfd)', 'user space', ['exec', 'open']],
]

function kill(figures) {
  const rows = ['idle', 'all cores busy'].flatMap((load) =>
    KILLERS.flatMap(([title, subject, acts]) =>
      acts.map((act) => {
        const cells = ['kernel', 'waitpid'].flatMap((clock) =>
          // where nobody kills no rule tells every act
          subject === 'none' && clock === 'kernel'
            ? ['', '', '']
            : ['p50', 'p99', 'max'].map((metric) =>
                inMilliseconds(figures.value(subject, `act=${act},load=${load},clock=${clock}`, metric)),
              ),
        )
        return row([title, act, load], cells)
      }),
    ),
  )
  const spans = ['to its end', 'to waitpid'].flatMap((span) =>
    ['p50', 'p99', 'max'].map((metric) => `${span}, ${metric}`),
  )
  return table([['killed by', 'act', 'load', ...spans], ...rows])
}

function saturation(figures) {
  const rows = ['no agent', 'filtered', 'unfiltered'].map((subject) => {
    const of = (metric) => figures.value(subject, figures.first(subject)?.param, metric)
    const pair = time(of('pair'))
    if (subject === 'no agent') return [subject, '', '', '', pair]
    const alerted = from([of('alerted'), of('sensitive_opens')], (some, all) => `${count(some)} of ${count(all)}`)
    return row([subject], [alerted ?? NOT_RECORDED, count(of('events_lost')), withUnit('s')(of('agent_cpu')), pair])
  })
  return table([['', 'sensitive opens alerted', 'events lost', 'agent CPU', 'open+close'], ...rows])
}

function sustained(figures) {
  const rows = ['steady', 'above'].map((subject) => {
    const first = figures.first(subject)
    const { pace, for: duration } = paramsOf(first)
    const of = (metric) => count(figures.value(subject, first?.param, metric))
    const metrics = ['events_made', 'events_handled', 'events_lost', 'rate']
    const asked = from([pace, duration], (hz, seconds) => `${count(Number(hz))}/s for ${seconds.replace(/s$/, ' s')}`)
    return row([subject], [asked ?? NOT_RECORDED, ...metrics.map(of)])
  })
  return table([['', 'pace', 'events made', 'handled', 'lost', 'made a second'], ...rows])
}

/** CPU for 2,000 forks of each round. */
export function forkRounds(figures, when) {
  return [1, 2, 3, 4].map((round) => figures.value('agent', `forks=2000,when=${when},round=${round}`, 'cpu'))
}

function memory(figures) {
  const [idle, busy] = ['load=idle', 'load=forks and connects']
  const mib = withUnit('MiB')
  const resident = (subject, metric) => [idle, busy].map((load) => mib(figures.value(subject, load, metric)))
  const share = (subject) => withUnit('% of a core')(figures.value(subject, idle, 'cpu'))
  const perEventUs = (subject) => figures.value(subject, busy, 'cpu_per_event')
  const rate = figures.value('agent', busy, 'events_per_s')
  const ofAgent = from([perEventUs('agent'), rate], (cost, hz) => `${us(cost)} an event at ${count(hz)} events/s`)
  const ofCollector = from([perEventUs('collector')], (cost) => `${us(cost)} an event`)
  return table([
    ['what', 'idle', 'under load'],
    row(['agent, resident'], resident('agent', 'rss')),
    row(['of it without the ring, whose pages are mapped twice'], resident('agent', 'rss_without_ring')),
    row(['collector, resident'], resident('collector', 'rss')),
    row(['agent, CPU'], [share('agent'), ofAgent ?? NOT_RECORDED]),
    row(['events it handled meanwhile'], [from([figures.value('agent', idle, 'events')], count) ?? NOT_RECORDED, '']),
    ...[
      ['started', 'agent that was just started, CPU for 2,000 forks, four times'],
      ['working', 'agent that has had the load, CPU for 2,000 forks, four times'],
    ].map(([when, title]) =>
      row(
        [title],
        [
          forkRounds(figures, when)
            .map((value) => withUnit('s')(value))
            .join(', '),
          '',
        ],
      ),
    ),
    row(['collector, CPU'], [share('collector'), ofCollector ?? NOT_RECORDED]),
  ])
}

function start(figures) {
  const cells = ['none', 'standard'].map((rules) =>
    withUnit('s')(figures.value('hullguard', `containers=20,rules=${rules}`, 'watching')),
  )
  return table([['containers', 'no rules', 'standard set'], row(['20'], cells)])
}

export function kernelMemory(figures) {
  const of = (metric) => withUnit('MiB')(figures.value('kernel', 'load=any', metric))
  return `ring ${of('bpf_ring')}, maps ${of('bpf_maps_without_ring')}, programs ${of('bpf_programs')}`
}

/** By place in page.md; all are of the case matcher. */
export const MATCHER_TABLES = { conditions, worstConditions, native, compiledSets, falco, violated }

/** By case, which is the place too. */
export const CASE_TABLES = { delivery, pipeline, cost, overhead, kill, saturation, sustained, memory, start }
