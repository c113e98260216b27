/**
 * Containers of a healthy host, busy and of no interest to anybody: a web server, a database and a scheduler, from the static
 * busybox and a small C program. Each does a number of rounds, says so on its standard output, and then waits to be ended.
 */
import { compileStatic } from './static-program.js'

export const DONE = 'all rounds are done'
const WAIT = `echo '${DONE}'; exec sleep 600`

/** Serves pages over HTTP, logs each request, rotates its log, is asked for its health. */
const WEB_SERVER = `#!/bin/sh
set -e
mkdir -p /srv/cgi-bin /var/log/web /run/web
echo '<h1>hello</h1>' > /srv/index.html
printf '#!/bin/sh\\necho "Content-type: text/plain"; echo; date; cat /etc/hostname\\n' > /srv/cgi-bin/now
chmod 755 /srv/cgi-bin/now
httpd -p 127.0.0.1:8080 -h /srv -u nobody
echo $$ > /run/web/pid
round=0
while [ $round -lt "$1" ]; do
  round=$((round + 1))
  wget -q -O /dev/null http://127.0.0.1:8080/ && echo "GET / 200" >> /var/log/web/access.log
  wget -q -O - http://127.0.0.1:8080/cgi-bin/now > /dev/null && echo "GET /cgi-bin/now 200" >> /var/log/web/access.log
  wget -q -O /dev/null http://127.0.0.1:8080/missing 2> /dev/null || echo "GET /missing 404" >> /var/log/web/error.log
  if [ $((round % 10)) = 0 ]; then
    mv /var/log/web/access.log /var/log/web/access.log.1
    gzip -f /var/log/web/access.log.1
    touch /var/log/web/access.log
    rm -f /tmp/upload.*
  fi
  mktemp /tmp/upload.XXXXXX > /dev/null
done
${WAIT}
`

/** Scripts of a scheduler: what crond would start each minute, as fast as they end; crond itself runs beside them. */
const SCHEDULER = `#!/bin/sh
set -e
crond -L /var/log/cron.log -c /var/spool/cron/crontabs
round=0
while [ $round -lt "$1" ]; do
  round=$((round + 1))
  run-parts /etc/periodic/minutely >> /var/log/cron.log 2>&1
done
${WAIT}
`
const BACKUP_JOB = `#!/bin/sh
set -e
umask 077
tar -cf - /srv/data 2> /dev/null | gzip > /var/backups/data.new
mv /var/backups/data.new /var/backups/data.tar.gz
md5sum /var/backups/data.tar.gz > /var/backups/data.md5
`
const CLEAN_JOB = `#!/bin/sh
find /var/cache/app -type f -mtime +7 -delete
find /tmp -name 'session.*' | while read -r file; do rm -f "$file"; done
touch /run/cleaned "/tmp/session.$$"
`
const REPORT_JOB = `#!/bin/sh
{ date; df /; free; ps; id -u; hostname; } > /var/log/report.txt 2>&1
grep -c . /etc/passwd > /run/users
sed -i 's/x/y/g' /srv/data/notes
awk -F: '{ print $1 }' /etc/passwd | sort | uniq > /run/names
`

/** Gives up root, keeps a journal and tables on disk, and serves connections with a worker each. */
const DATABASE = `
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void need(int is_done, const char *what)
{
	if (is_done) return;
	perror(what);
	exit(1);
}

static void append(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	need(file >= 0 && write(file, text, strlen(text)) > 0, path);
	need(fdatasync(file) == 0 && close(file) == 0, "fdatasync");
}

/* A new table file beside the old one, made durable and put into its place. */
static void checkpoint(int round)
{
	char text[64];
	int file = open("/var/lib/db/table.new", O_RDWR | O_CREAT | O_TRUNC, 0600), folder;
	need(file >= 0 && ftruncate(file, 65536) == 0, "table.new");
	char *page = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	need(page != MAP_FAILED, "mmap");
	snprintf(text, sizeof(text), "round %d", round);
	memcpy(page, text, sizeof(text));
	need(msync(page, 65536, MS_SYNC) == 0 && munmap(page, 65536) == 0 && fchmod(file, 0640) == 0, "msync");
	need(fsync(file) == 0 && close(file) == 0 && rename("/var/lib/db/table.new", "/var/lib/db/table") == 0, "rename");
	folder = open("/var/lib/db", O_RDONLY | O_DIRECTORY);
	need(folder >= 0 && fsync(folder) == 0 && close(folder) == 0, "fsync of the folder");
	need(unlink("/var/lib/db/journal") == 0, "unlink");
}

static void serve(int connection)
{
	char query[64] = {0};
	need(read(connection, query, sizeof(query) - 1) > 0 && write(connection, query, strlen(query)) > 0, "serve");
	append("/var/log/db/slow.log", query);
	exit(0);
}

static void ask(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	char answer[64];
	int client = socket(AF_INET, SOCK_STREAM, 0);
	need(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
	need(write(client, "select 1", 8) == 8 && read(client, answer, sizeof(answer)) > 0 && close(client) == 0, "ask");
}

static int listen_tcp(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	need(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0, "setsockopt");
	need(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 64) == 0, "listen");
	return listener;
}

static void listen_local(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/.s.db.5432"};
	int local = socket(AF_UNIX, SOCK_STREAM, 0);
	need(bind(local, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(local, 8) == 0, "local socket");
	need(chmod("/tmp/.s.db.5432", 0777) == 0, "chmod");
}

int main(int count, char **values)
{
	int rounds = count > 1 ? atoi(values[1]) : 1, listener, status;
	need(chown("/var/lib/db", 70, 70) == 0 && chmod("/var/lib/db", 0700) == 0 && chown("/var/log/db", 70, 70) == 0, "data");
	need(setgroups(0, 0) == 0 && setgid(70) == 0 && setuid(70) == 0, "setuid");
	listener = listen_tcp(5432);
	listen_local();
	for (int round = 0; round < rounds; round++) {
		append("/var/lib/db/journal", "insert\\n");
		pid_t client = fork(), worker;
		if (client == 0) { ask(5432); exit(0); }
		int connection = accept4(listener, 0, 0, SOCK_CLOEXEC);
		need(connection >= 0, "accept");
		worker = fork();
		if (worker == 0) serve(connection);
		close(connection);
		need(waitpid(client, &status, 0) == client && status == 0, "client");
		need(waitpid(worker, &status, 0) == worker && status == 0, "worker");
		checkpoint(round);
		if (round % 5 == 0) {
			pid_t helper = fork();
			if (helper == 0) { sleep(60); exit(0); }
			need(kill(helper, SIGTERM) == 0 && waitpid(helper, &status, 0) == helper, "helper");
		}
	}
	puts("${DONE}");
	fflush(stdout);
	for (;;) pause();
}
`

export interface Workload {
  readonly name: string
  readonly args: readonly string[]
}

/** What the image must hold for them: files of the rootfs, and programs to copy into it (compiled into `dir`). */
export async function workloadImage(
  dir: string,
): Promise<{ files: Record<string, string>; copies: Record<string, string> }> {
  return {
    files: {
      'etc/hostname': 'busy\n',
      'usr/bin/serve-web': WEB_SERVER,
      'usr/bin/schedule': SCHEDULER,
      'etc/periodic/minutely/backup': BACKUP_JOB,
      'etc/periodic/minutely/clean': CLEAN_JOB,
      'etc/periodic/minutely/report': REPORT_JOB,
      'var/spool/cron/crontabs/root': '* * * * * run-parts /etc/periodic/minutely\n',
      'var/cache/app/entry': 'cached\n',
      'var/backups/.keep': '',
      'srv/data/notes': 'x\n',
      'var/lib/db/.keep': '',
      'var/log/db/.keep': '',
    },
    copies: { 'usr/sbin/database': await compileStatic(dir, 'database', DATABASE) },
  }
}

export function workloads(roundCount: number): Workload[] {
  const rounds = String(roundCount)
  return [
    { name: 'web', args: ['/usr/bin/serve-web', rounds] },
    { name: 'database', args: ['/usr/sbin/database', rounds] },
    { name: 'scheduler', args: ['/usr/bin/schedule', rounds] },
  ]
}
