/** `hullguard doctor` on this host: what it prints agrees with what it says as JSON, and fits a terminal. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { RUNGS } from '../../src/sensor/rungs.js'
import { HULLGUARD, hullguard, scratchDir } from '../support/hullguard.js'
import { requires, run, runOk, waitFor } from '../support/process.js'

interface Report {
  kernel: string
  fault: string
  advice: string
  capabilities: { missing: string[] }
  events: { event: string; rung: string; deny: boolean; kill: boolean; note: string }[]
  blind_spots: string[]
}

const TERMINAL_CHARS = 100
/** The table fits the smallest terminal. */
const TABLE_CHARS = 80
const skipTerminal = requires({ commands: ['tmux'] })
const skip = requires({ root: true, commands: ['setpriv', 'unshare'], files: ['/sys/kernel/btf/vmlinux'] })

/** Lines as they were before they were broken: what goes on stands deeper. */
const unwrapped = (text: string) => text.replace(/\n {4}(?=\S)/g, ' ')

describe('doctor', { skip }, () => {
  let report: Report
  let screen = ''

  before(async () => {
    const [json, text] = [await hullguard(['doctor', '--json']), await hullguard(['doctor'])]
    assert.deepEqual([json.code, text.code], [0, 0], json.stderr)
    report = JSON.parse(json.stdout)
    screen = text.stdout
  })

  test('one row per event, with the hooks in use and what they can; every hook that is not there has its reason', () => {
    assert.equal(report.fault, '')
    assert.deepEqual(report.capabilities.missing, [])
    assert.deepEqual(
      report.events.map(({ event }) => event),
      [...new Set(RUNGS.map(({ event }) => event))],
    )
    for (const { event, hook, alternative, insteadOf } of RUNGS) {
      const said = report.events.find((one) => one.event === event)
      const other = RUNGS.find(({ program }) => program === alternative)
      // the same hook under the name that another kernel has
      if (other !== undefined && said?.rung.split(' + ').includes(other.hook)) continue
      // what it stands in for is there
      const better = RUNGS.filter(({ program }) => insteadOf?.includes(program)).map((rung) => rung.hook)
      if (better.length > 0 && better.every((name) => said?.rung.split(' + ').includes(name))) continue
      // hooks that are missing for one reason stand together before it
      const isMissing = new RegExp(`${hook}(, [\\w/]+)*: `).test(said?.note ?? '')
      assert.ok(said?.rung.split(' + ').includes(hook) || isMissing, `${event}: ${hook}`)
    }
    assert.ok(report.blind_spots.some((spot) => spot.startsWith('io_uring')))
  })

  test('the screen says the same within 100 columns', () => {
    const lines = screen.split('\n')
    assert.deepEqual(
      lines.filter((line) => line.length > TERMINAL_CHARS),
      [],
    )
    const table = lines.slice(
      0,
      lines.findIndex((line) => line.startsWith('  COST: ')),
    )
    for (const { event, rung, deny, kill } of report.events) {
      const row = table.find((line) => line.startsWith(`${event}  `))
      const [first = ''] = rung.split(' + ')
      assert.equal(row === undefined, first === '', event)
      if (row === undefined) continue
      assert.ok(row.includes(first), `${event}: ${row}`)
      assert.ok(row.length <= TABLE_CHARS, row)
      assert.equal(row.includes('deny'), deny, row)
      assert.equal(row.includes('kill'), kill, row)
    }
  })

  test('hooks that are missing for one reason are listed once', () => {
    const text = unwrapped(screen)
    const listed = [...text.matchAll(/^ {2}\d+ not to be had here \((.*?)\): (.*)$/gm)]
    const said = report.events.flatMap(({ note }) => [
      ...note.matchAll(/(?:^|; )([\w/, ]+): not to be had here: ([^;]*)/g),
    ])
    const hooksOf = new Map<string, Set<string>>()
    for (const [, hooks = '', reason = ''] of said)
      hooksOf.set(reason, new Set([...(hooksOf.get(reason) ?? []), ...hooks.split(', ')]))
    assert.deepEqual(
      listed.map(([, reason, hooks]) => [reason, hooks?.split(', ')]),
      [...hooksOf].map(([reason, hooks]) => [reason, [...hooks]]),
    )
  })

  test('the last screen of a small terminal says what this host can see and stop', { skip: skipTerminal }, async () => {
    const [columns, rows] = [80, 24]
    const socket = join(scratchDir(), 'tmux')
    const tmux = (...args: string[]) => runOk('tmux', ['-S', socket, ...args])
    const command = `'${process.execPath}' '${HULLGUARD}' doctor; echo ended; sleep 60`
    await tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), command)
    try {
      const shown = await waitFor(
        'doctor in a terminal',
        async () => {
          const text = await tmux('capture-pane', '-p')
          return text.includes('ended') && text
        },
        60_000,
      )
      const short = unwrapped(shown.slice(shown.indexOf('in short:')))
      for (const { event, deny, rung } of report.events) {
        const name = event.replace(' (refuse)', '').replace('(refuse ', '(')
        const line = short
          .split('\n')
          .find((one) => one.split(/: |; /).includes(name) && one.includes('refuse') === (deny || rung === ''))
        assert.ok(line, `${event}: ${short}`)
      }
    } finally {
      await tmux('kill-server')
    }
  })

  test('without privileges it says what is missing and ends with 1', async () => {
    const bare = ['--bounding-set=-all', '--inh-caps=-all', process.execPath, HULLGUARD, 'doctor', '--json']
    const { code, stdout } = await run('setpriv', bare)
    const report = JSON.parse(stdout) as Report
    assert.equal(code, 1)
    assert.notEqual(report.fault, '')
    assert.ok(report.capabilities.missing.includes('CAP_BPF'))
    assert.ok(report.capabilities.missing.includes('CAP_SYS_ADMIN'))
    assert.deepEqual(report.events, [])
    assert.match(report.advice, /^run as root /)
    const screen = await run('setpriv', bare.slice(0, -1))
    assert.match(screen.stdout, /^nothing can be watched here: .*Operation not permitted \[HG2001\]\nrun as root /m)
    assert.doesNotMatch(screen.stdout, /RLIMIT|blind spots/)
  })

  test('on a kernel without types it says that and nothing else is tried', async () => {
    const hidden = 'mount --bind "$0" /sys/kernel/btf && exec "$@"'
    const dir = scratchDir()
    const command = [process.execPath, HULLGUARD, 'doctor']
    const { code, stdout } = await run('unshare', ['-m', 'sh', '-c', hidden, dir, ...command])
    assert.equal(code, 1)
    assert.match(stdout, /^BTF +no \(\/sys\/kernel\/btf\/vmlinux is missing\)$/m)
    assert.match(
      stdout,
      /^nothing can be watched here: .*there is no \/sys\/kernel\/btf\/vmlinux\s+\[HG2002\]\nuse a kernel/m,
    )
  })
})
