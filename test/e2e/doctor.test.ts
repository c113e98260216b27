/** `hullguard doctor` on this host: what it prints agrees with what it says as JSON, and fits a terminal. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RUNGS } from '../../src/sensor/rungs.js'
import { HULLGUARD, hullguard, scratchDir } from '../support/hullguard.js'
import { requires, run } from '../support/process.js'

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
const skip = requires({ root: true, commands: ['setpriv', 'unshare'], files: ['/sys/kernel/btf/vmlinux'] })

describe('doctor', { skip }, () => {
  test('one row per event, with the hooks in use and what they can; every hook that is not there has its reason', async () => {
    const { code, stdout } = await hullguard(['doctor', '--json'])
    const report = JSON.parse(stdout) as Report
    assert.equal(code, 0)
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

  test('the screen says the same within 100 columns', async () => {
    const [screen, json] = [await hullguard(['doctor']), await hullguard(['doctor', '--json'])]
    const report = JSON.parse(json.stdout) as Report
    const lines = screen.stdout.split('\n')
    assert.deepEqual(
      lines.filter((line) => line.length > TERMINAL_CHARS),
      [],
    )
    for (const { event, rung, deny, kill } of report.events) {
      const row = lines.find((line) => line.startsWith(`${event}  `))
      const [first = ''] = rung.split(' + ')
      assert.ok(row?.includes(first), `${event}: ${row}`)
      assert.ok((row?.length ?? 0) <= TABLE_CHARS, row)
      assert.equal(row?.includes('deny'), deny, row)
      assert.equal(row?.includes('kill'), kill, row)
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
