/**
 * Named counters and gauges of one process, exported as Prometheus text (--metrics) and as `hullguard metrics`.
 * Every loss anywhere in the agent or collector increments one of these. Single-threaded; no I/O.
 */

export type Labels = Readonly<Record<string, string>>

interface Metric {
  readonly kind: 'counter' | 'gauge'
  readonly help: string
  readonly series: Map<string, number>
}

export class Counters {
  readonly #metrics = new Map<string, Metric>()
  readonly #readers: (() => void)[] = []

  /** Names follow Prometheus: snake_case with the unit at the end (`_total`, `_bytes`, `_seconds`). Idempotent. */
  define(name: string, kind: 'counter' | 'gauge', help: string): void {
    if (!this.#metrics.has(name)) this.#metrics.set(name, { kind, help, series: new Map() })
  }

  add(name: string, amount = 1, labels?: Labels): void {
    const { series } = this.#metric(name)
    const key = renderLabels(labels)
    series.set(key, (series.get(key) ?? 0) + amount)
  }

  set(name: string, value: number, labels?: Labels): void {
    this.#metric(name).series.set(renderLabels(labels), value)
  }

  /** What this metric has now, and nothing else: for series whose owners come and go. */
  replace(name: string, series: Iterable<readonly [labels: Labels, value: number]>): void {
    const values = this.#metric(name).series
    values.clear()
    for (const [labels, value] of series) {
      const key = renderLabels(labels)
      values.set(key, (values.get(key) ?? 0) + value)
    }
  }

  get(name: string, labels?: Labels): number {
    return this.#metric(name).series.get(renderLabels(labels)) ?? 0
  }

  /** Figures that are counted elsewhere (kernel maps, plain numbers) are brought in by `read` when somebody asks for all. */
  onRender(read: () => void): void {
    this.#readers.push(read)
  }

  /** Prometheus text exposition format 0.0.4. */
  render(): string {
    for (const read of this.#readers) read()
    let text = ''
    for (const [name, metric] of this.#metrics) {
      const full = `hullguard_${name}`
      text += `# HELP ${full} ${metric.help}\n# TYPE ${full} ${metric.kind}\n`
      if (metric.series.size === 0 && metric.kind === 'counter') text += `${full} 0\n`
      for (const [labels, value] of metric.series) text += `${full}${labels} ${value}\n`
    }
    return text
  }

  #metric(name: string): Metric {
    const metric = this.#metrics.get(name)
    if (metric === undefined) throw new Error(`metric ${name} was never defined`)
    return metric
  }
}

function renderLabels(labels: Labels | undefined): string {
  if (labels === undefined) return ''
  const parts = Object.entries(labels).map(
    ([key, value]) => `${key}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`,
  )
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}
