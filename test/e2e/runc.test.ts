/** Plain runc, without any daemon: the id is the name. And containers that try to be a nuisance to whoever watches them. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { HullguardRecord } from '../../src/record/model.js'
import { type Feed, type Host, hullguard, scratchDir, startRun } from '../support/hullguard.js'
import { requires, uniqueName } from '../support/process.js'
import { makeRootfs } from '../support/rootfs.js'
import { type RuncContainer, runcRun } from '../support/runc.js'
import { compileStatic } from '../support/static-program.js'

const skip = requires({ root: true, commands: ['runc', 'busybox', 'cc'] })

/** Executes /bin/true in the ways that a log or a terminal would not survive unescaped. */
const NUISANCE = `
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void start(const char *path, char **arguments)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		execv(path, arguments);
		perror(path);
		_exit(127);
	}
	waitpid(child, &status, 0);
	printf("%d\\n", WEXITSTATUS(status));
}

int main(void)
{
	static char *many[100002], path[3200] = "/tmp";
	char component[201];
	char *escapes[] = {"true", "a\\nb", "\\033[2J\\033]0;owned\\007", "\\xff\\xfe\\xc3(", "\\u202egpj.exe", "\\r\\b\\x7f", "", 0};
	char *plain[] = {"true", "deep", 0};
	start("/bin/true", escapes);
	many[0] = "true";
	for (int i = 1; i <= 100000; i++) many[i] = "many";
	start("/bin/true", many);
	memset(component, 'd', 200);
	component[200] = 0;
	for (int i = 0; i < 14; i++) {
		mkdir(component, 0755); /* relative: a whole path of more than 4,096 bytes could not be named */
		strcat(strcat(path, "/"), component);
		if (i == 0 ? chdir("/tmp") : 0) return 1;
		if (i == 0) mkdir(component, 0755);
		if (chdir(component)) return 1;
	}
	strcat(path, "/t\\nrue");
	int from = open("/bin/busybox", O_RDONLY), to = open("t\\nrue", O_CREAT | O_WRONLY, 0755);
	static char buffer[65536];
	for (ssize_t count; (count = read(from, buffer, sizeof(buffer))) > 0;)
		if (write(to, buffer, count) != count) return 1;
	close(to);
	start(path, plain);
	return 0;
}
`

/** A control character, or one that reorders or hides text. */
const RAW_CONTROL = /[\p{Cc}\u202a-\u202e\u2066-\u2069\u200b-\u200f]/u

describe('plain runc', { skip }, () => {
  const name = uniqueName('plain')
  const root = scratchDir()
  let rootfs: string
  let host: Host
  let feed: Feed
  let earlier: RuncContainer
  let container: RuncContainer
  const own = (what: string, wanted: (record: HullguardRecord) => boolean) =>
    feed.find(what, (record) => record.container.name === name && wanted(record))

  before(async () => {
    rootfs = await makeRootfs(scratchDir(), {
      copies: { 'bin/nuisance': await compileStatic(scratchDir(), 'nuisance', NUISANCE) },
    })
    earlier = await runcRun({ rootfs, root, id: `${name}-earlier`, args: ['/bin/sleep', '600'] })
    host = await startRun({ runcRoot: root })
    feed = host.feed()
    container = await runcRun({ rootfs, root, id: name, args: ['/bin/sh', '-c', 'sleep 600'] })
  })
  after(async () => {
    await feed?.close()
    await host?.stop()
    await container?.remove()
    await earlier?.remove()
  })

  test("the first program of a container is recorded under the container's id", async () => {
    const exec = await own('the first exec', ({ kind, process }) => kind === 'exec' && process?.args[0] === '/bin/sh')
    assert.deepEqual(
      { ...exec.container, labels: { ...exec.container.labels } },
      { state: 'container', id: name, name, image: '', imageId: '', runtime: 'runc', labels: {}, outerIds: [] },
    )
    assert.deepEqual(exec.process?.args, ['/bin/sh', '-c', 'sleep 600'])
    assert.equal(exec.process.pid, container.pid)
    assert.equal(exec.process.phase, 'run')
    const start = await own('its start', ({ containerChange }) => containerChange?.change === 'start')
    assert.ok(start.containerChange?.cgroup.startsWith('/hullguard-test-'))
  })

  test('a process that runc exec brings in is recorded with its exit code', async () => {
    assert.equal((await container.exec(['sh', '-c', 'exit 42'])).code, 42)
    const exec = await own('the exec', ({ kind, process }) => kind === 'exec' && process?.args[2] === 'exit 42')
    assert.equal(exec.process?.phase, 'run')
    const exit = await own('its end', ({ kind, process }) => kind === 'exit' && process?.pid === exec.process?.pid)
    assert.equal(exit.exit?.code, 42)
    assert.deepEqual(exit.process?.args, ['sh', '-c', 'exit 42'])
  })

  test('a container that ran before the agent is known with its process', async () => {
    const { pid } = earlier
    await earlier.kill('KILL')
    const exit = await feed.find('its end', ({ kind, process }) => kind === 'exit' && process?.pid === pid)
    assert.equal(exit.container.id, `${name}-earlier`)
    assert.deepEqual(exit.process?.args, ['/bin/sleep', '600'])
    assert.deepEqual([exit.exit?.signalName, exit.exit?.code], ['SIGKILL', 0])
  })

  test('hostile arguments and paths arrive whole or marked as cut, and the agent lives', async () => {
    const { stdout, code } = await container.exec(['/bin/nuisance'])
    assert.deepEqual([stdout, code], ['0\n0\n0\n', 0], 'all three ran')
    const escapes = await own('the escapes', ({ kind, process }) => kind === 'exec' && process?.args[1] === 'a\nb')
    assert.deepEqual(escapes.process?.args, [
      ...['true', 'a\nb', '\u001b[2J\u001b]0;owned\u0007', '\ufffd\ufffd\ufffd(', '\u202egpj.exe', '\r\b\u007f', ''],
    ])
    assert.equal(escapes.exec?.argsTruncated, false)
    const many = await own('the many', ({ kind, process }) => kind === 'exec' && process?.args[1] === 'many')
    assert.equal(many.exec?.argsTruncated, true)
    assert.ok((many.process?.args.length ?? 0) > 1000)
    const deep = await own('the deep one', ({ kind, process }) => kind === 'exec' && process?.args[1] === 'deep')
    assert.ok((deep.exec?.path.length ?? 0) > 2800)
    assert.ok(deep.exec?.path.endsWith('/t\nrue'))
    assert.equal(host.hasEnded, false)
  })

  test('what a terminal shows of them holds no control character, and the JSON is valid and on one line each', async () => {
    // Up to a time that is over: the container's memory is sampled meanwhile.
    const last = await own('the last of them', ({ kind, process }) => kind === 'exec' && process?.args[1] === 'deep')
    const until = new Date(Number(last.timeNs / 1_000_000n) + 1).toISOString()
    const query = ['events', '--data-dir', host.dataDir, '--container', name, '--until', until]
    const text = await hullguard(query)
    assert.equal(text.code, 0)
    for (const line of text.stdout.split('\n')) assert.doesNotMatch(line, RAW_CONTROL)
    assert.match(text.stdout, /a\\nb/)
    assert.match(text.stdout, /\\x1b\[2J/)
    const json = await hullguard([...query, '--json'])
    const lines = json.stdout.trimEnd().split('\n')
    assert.equal(lines.length, text.stdout.trimEnd().split('\n').length)
    for (const line of lines) {
      assert.doesNotMatch(line, RAW_CONTROL)
      assert.equal(typeof (JSON.parse(line) as { kind: unknown }).kind, 'string')
    }
  })

  test('the stop of a container is recorded once it is gone', async () => {
    await container.remove()
    const stop = await own('its stop', ({ containerChange }) => containerChange?.change === 'stop')
    assert.equal(stop.container.id, name)
    assert.equal(existsSync(`${root}/${name}`), false)
  })
})
